// Transactions, conflicts, lost connections and bounds, below the repository.
#include "postgres_database.h"

#include <atomic>
#include <latch>
#include <set>
#include <stdexcept>
#include <thread>

#include "postgres_fixture.h"

namespace ktrdr::storage {
namespace {

using ktrdr::testing::FailsWith;
using ktrdr::testing::IsOk;
using ktrdr::testing::SaysError;
using testing::PostgresCluster;

class PostgresJobs : public ::testing::Test {
 protected:
  std::unique_ptr<PostgresDatabase> open(const PostgresOptions& options = {}) {
    return PostgresDatabase::open(uri_, clock_, options).value();
  }
  std::unique_ptr<PostgresConnection> connect(const PostgresTimeouts& timeouts = {}) {
    const PostgresAddress address = PostgresAddress::parse(uri_).value();
    return PostgresConnection::open(address, PostgresConnection::Use::kWriting, timeouts).value();
  }

  static Result<void> run(Session& session, const std::string& sql) {
    TRY(session.execute(sql, {}));
    return {};
  }
  static Result<void> insert(Session& session, const std::string& key) {
    TRY(session.execute("INSERT INTO idempotency_keys VALUES ($1, '', '', '', '', '')", {key}));
    return {};
  }
  static Result<std::int64_t> count(Session& session) {
    TRY_ASSIGN(const Rows rows, session.execute("SELECT COUNT(*) FROM idempotency_keys", {}));
    return RowReader(rows.front()).integer();
  }
  std::int64_t count() {
    return read_job<std::int64_t>(*database_, [](Session& session) { return count(session); }).value();
  }

  ktrdr::testing::ManualClock clock_;
  const std::string uri_ = testing::fresh_database();
  std::unique_ptr<PostgresDatabase> database_ = open();
};

// ---- several SELECTs in one round trip ----

TEST_F(PostgresJobs, SelectsThatAreSentTogetherAreAnsweredInTheirOrder) {
  const auto connection = connect();
  const auto numbers = [](const Rows& rows) {
    std::vector<std::int64_t> read;
    for (const Row& row : rows) read.push_back(RowReader(row).integer());
    return read;
  };
  for (int time = 0; time < 2; ++time) {  // first prepared on the way, then known to the server
    connection->begin();
    const auto answers = connection->select_together({{"SELECT CAST($1 AS BIGINT)", {std::int64_t{7}}},
                                                      {"SELECT 1 WHERE 1 = 2", {}},
                                                      {"VALUES (8), (9)", {}}});
    ASSERT_THAT(answers, IsOk());
    ASSERT_EQ(answers->size(), 3U);
    EXPECT_EQ(numbers((*answers)[0]), std::vector<std::int64_t>{7});
    EXPECT_TRUE((*answers)[1].empty());
    EXPECT_EQ(numbers((*answers)[2]), (std::vector<std::int64_t>{8, 9}));
    connection->roll_back();  // its answer arrives with the next one's, and is not taken for one of them
  }
}

TEST_F(PostgresJobs, OneOfSeveralSelectsThatFailsFailsThemAllAndTheConnectionGoesOn) {
  const auto connection = connect();
  connection->begin();
  EXPECT_THAT(connection->select_together({{"SELECT 1", {}}, {"SELECT 1 / 0", {}}, {"SELECT 2", {}}}),
              FailsWith(ErrorCode::kInternal));
  EXPECT_THAT(connection->commit(), FailsWith(ErrorCode::kInternal));
  connection->roll_back();
  connection->begin();
  EXPECT_THAT(count(*connection), IsOk());
}

// Without a BEGIN of their own, which would be a second way to the server and back.
TEST_F(PostgresJobs, SelectsThatAreSentAloneAreOneTransactionThatSeesOneState) {
  const auto connection = connect();
  const auto text = [](const Rows& rows) { return RowReader(rows.at(0)).text(); };
  for (int time = 0; time < 2; ++time) {
    const auto answers = connection->select_alone({{"SELECT CAST(transaction_timestamp() AS TEXT)", {}},
                                                   {"SELECT CAST(transaction_timestamp() AS TEXT)", {}},
                                                   {"SELECT current_setting('transaction_isolation')", {}}});
    ASSERT_THAT(answers, IsOk());
    EXPECT_EQ(text((*answers)[0]), text((*answers)[1]));
    EXPECT_EQ(text((*answers)[2]), "repeatable read");
  }
  EXPECT_THAT(connection->select_alone({{"SELECT 1 / 0", {}}}), FailsWith(ErrorCode::kInternal));
  EXPECT_THAT(connection->select_alone({{"SELECT 1", {}}}), IsOk()) << "the connection goes on";
}

// ---- questions of several callers in one message ----

TEST_F(PostgresJobs, EveryCallerGetsTheAnswersToItsOwnQuestions) {
  constexpr int kCallers = 16, kTimes = 200;
  std::latch all_here(kCallers);
  std::vector<std::jthread> callers;
  for (int caller = 0; caller < kCallers; ++caller) {
    callers.emplace_back([&, caller] {
      all_here.arrive_and_wait();
      for (std::int64_t time = 0; time < kTimes; ++time) {
        // Now and then one that fails: it fails alone.
        if (caller == 0 && time % 10 == 0) {
          EXPECT_THAT(database_->select_together({{"SELECT 1 / 0", {}}}), FailsWith(ErrorCode::kInternal));
        }
        const auto number = time * kCallers + caller;
        std::vector<Query> queries(static_cast<std::size_t>(1 + caller % 3),
                                   {"SELECT CAST($1 AS BIGINT)", {number}});
        const auto answers = database_->select_together(queries);
        ASSERT_THAT(answers, IsOk());
        ASSERT_EQ(answers->size(), queries.size());
        for (const Rows& rows : *answers) EXPECT_EQ(RowReader(rows.at(0)).integer(), number);
      }
    });
  }
}

TEST_F(PostgresJobs, AQuestionSeesWhatWasAcknowledgedBeforeIt) {
  constexpr int kCallers = 8, kTimes = 50;
  std::vector<std::jthread> callers;
  for (int caller = 0; caller < kCallers; ++caller) {
    callers.emplace_back([&, caller] {
      for (int time = 0; time < kTimes; ++time) {
        const std::string key = std::to_string(caller) + "-" + std::to_string(time);
        ASSERT_THAT(database_->write([&](Session& session) { return insert(session, key); }), IsOk());
        const auto seen = database_->select_together(
            {{"SELECT COUNT(*) FROM idempotency_keys WHERE idempotency_key = $1", {key}}});
        ASSERT_THAT(seen, IsOk());
        EXPECT_EQ(RowReader(seen->front().front()).integer(), 1) << key;
      }
    });
  }
}

// All ask the same, so what one of them is told may have been read for another.
TEST_F(PostgresJobs, WhatSeveralAskIsAskedOnceAndNeverBeforeTheLastOfThemCame) {
  constexpr int kCallers = 16, kTimes = 50;
  const std::string sql = "SELECT COUNT(*), CAST(clock_timestamp() AS TEXT) FROM idempotency_keys";
  std::atomic<std::int64_t> acknowledged = 0;
  Synchronized<std::set<std::string>> moments;
  {
    std::vector<std::jthread> callers;
    for (int caller = 0; caller < kCallers; ++caller) {
      callers.emplace_back([&, caller] {
        for (int time = 0; time < kTimes; ++time) {
          const std::string key = std::to_string(caller) + "-" + std::to_string(time);
          if (caller == 0) {
            ASSERT_THAT(database_->write([&](Session& session) { return insert(session, key); }), IsOk());
            ++acknowledged;
          }
          const std::int64_t at_least = acknowledged;
          const auto seen = database_->select_together({{sql, {}}});
          ASSERT_THAT(seen, IsOk());
          RowReader row(seen->front().front());
          EXPECT_GE(row.integer(), at_least);
          moments.lock()->insert(row.text());
        }
      });
    }
  }
  EXPECT_LT(moments.lock()->size(), kCallers * kTimes);
}

TEST_F(PostgresJobs, AQuestionWhoseConnectionWasLostIsAskedAgain) {
  const auto ask = [&] { return database_->select_together({{"SELECT pg_backend_pid()", {}}}); };
  const auto before = ask();
  ASSERT_THAT(before, IsOk());
  PostgresCluster::shared().query(
      "postgres",
      "SELECT pg_terminate_backend(" + std::to_string(RowReader(before->at(0).at(0)).integer()) + ")");
  for (int time = 0; time < 3; ++time) EXPECT_THAT(ask(), IsOk());
}

// ---- all or nothing ----

TEST_F(PostgresJobs, AJobThatFailsChangesNothingAndItsConnectionGoesOn) {
  for (int i = 0; i < 40; ++i) {
    EXPECT_THAT(database_->write([](Session& session) -> Result<void> {
      TRY(insert(session, "x"));
      return Error(ErrorCode::kConflict, "refused after it wrote");
    }),
                FailsWith(ErrorCode::kConflict));
  }
  EXPECT_EQ(count(), 0);
  EXPECT_THAT(database_->write([](Session& session) { return insert(session, "x"); }), IsOk());
  EXPECT_EQ(count(), 1);
}

TEST_F(PostgresJobs, AJobThatThrowsChangesNothingAndItsConnectionGoesOn) {
  const auto one = open({.writers = 1});
  const Job throws = [](Session& session) -> Result<void> {
    TRY(insert(session, "x"));
    throw std::runtime_error("a bug");
  };
  EXPECT_THROW(static_cast<void>(one->write(throws)), std::runtime_error);
  EXPECT_THAT(one->write([](Session& session) { return insert(session, "y"); }), IsOk());
  EXPECT_EQ(count(), 1);
}

TEST_F(PostgresJobs, AFailedStatementThatTheJobOverlooksIsNotCommitted) {
  EXPECT_THAT(database_->write([](Session& session) -> Result<void> {
    EXPECT_THAT(insert(session, "x"), IsOk());
    EXPECT_THAT(insert(session, "x"), FailsWith(ErrorCode::kInternal));
    EXPECT_FALSE(insert(session, "y").ok());
    return {};
  }),
              FailsWith(ErrorCode::kInternal));
  EXPECT_EQ(count(), 0);
}

TEST_F(PostgresJobs, AReaderCanNotWrite) {
  EXPECT_THAT(database_->read([](Session& session) { return insert(session, "x"); }),
              FailsWith(ErrorCode::kIo));
  EXPECT_EQ(count(), 0);
}

TEST_F(PostgresJobs, TextThatPostgresCanNotHoldIsRefused) {
  for (const std::string& text : {std::string("a\0b", 3), std::string("\xff")}) {
    EXPECT_THAT(database_->write([&](Session& session) { return insert(session, text); }),
                FailsWith(ErrorCode::kInvalidArgument));
  }
  EXPECT_EQ(count(), 0);
}

TEST_F(PostgresJobs, ValuesComeBackAsTheyWere) {
  const std::string text = "Grüße 'quoted' \\ \" \n\t 漢字";
  const Rows rows = connect()
                        ->execute(
                            "SELECT CAST($1 AS BIGINT), CAST($2 AS TEXT), CAST($3 AS TEXT),"
                            " CAST($4 AS BIGINT), CAST($5 AS TEXT)",
                            {INT64_MIN, text, Value(), INT64_MAX, std::string()})
                        .value();
  EXPECT_EQ(rows, (Rows{{INT64_MIN, text, Value(), INT64_MAX, std::string()}}));
}

// ---- one state, and conflicts ----

TEST_F(PostgresJobs, AJobSeesOneStateWhateverOthersCommitMeanwhile) {
  const auto sees_one_state = [&](Session& session) -> Result<void> {
    const std::int64_t before = count(session).value();
    const std::string key = "key-" + std::to_string(database_->statistics().jobs);
    EXPECT_THAT(database_->write([&](Session& other) { return insert(other, key); }), IsOk());
    EXPECT_EQ(count(session).value(), before);
    return {};
  };
  EXPECT_THAT(database_->read(sees_one_state), IsOk());
  EXPECT_THAT(database_->write(sees_one_state), IsOk());
  EXPECT_EQ(count(), 2);
}

TEST_F(PostgresJobs, AJobThatLostARaceForARowIsRunAgainAndSeesWhatTheWinnerDid) {
  ASSERT_THAT(database_->write([](Session& session) { return insert(session, "x"); }), IsOk());
  const auto append = [](Session& session, const std::string& text) {
    return run(session, "UPDATE idempotency_keys SET answer = answer || '" + text + "'");
  };
  int runs = 0;
  EXPECT_THAT(database_->write([&](Session& session) -> Result<void> {
    TRY(count(session));  // from here it sees one state
    if (++runs == 1) {
      EXPECT_THAT(database_->write([&](Session& other) { return append(other, "first "); }), IsOk());
    }
    return append(session, "second");
  }),
              IsOk());
  EXPECT_EQ(runs, 2);
  EXPECT_EQ(database_->statistics().repeats, 1);
  EXPECT_EQ(RowReader(connect()->execute("SELECT answer FROM idempotency_keys", {}).value().front()).text(),
            "first second");
}

TEST_F(PostgresJobs, ADeadlockIsResolvedByRunningOneJobAgain) {
  for (const char* key : {"a", "b"}) {
    ASSERT_THAT(database_->write([&](Session& session) { return insert(session, key); }), IsOk());
  }
  std::latch both(2);
  const auto lock_two = [&](std::string first, std::string second) {
    bool is_first_run = true;
    EXPECT_THAT(database_->write([&](Session& session) -> Result<void> {
      const std::string update =
          "UPDATE idempotency_keys SET answer = answer || 'x' WHERE idempotency_key = $1";
      TRY(session.execute(update, {first}));
      if (std::exchange(is_first_run, false)) both.arrive_and_wait();
      TRY(session.execute(update, {second}));
      return {};
    }),
                IsOk());
  };
  {
    const std::jthread other([&] { lock_two("b", "a"); });
    lock_two("a", "b");
  }
  EXPECT_GE(database_->statistics().repeats, 1);
  const Rows rows = connect()->execute("SELECT answer FROM idempotency_keys", {}).value();
  EXPECT_EQ(rows, (Rows{{std::string("xx")}, {std::string("xx")}}));
}

// ---- lost connections ----

TEST_F(PostgresJobs, AJobWhoseConnectionIsLostBeforeItsCommitIsDoneAgainOnAnother) {
  int runs = 0;
  EXPECT_THAT(database_->write([&](Session& session) -> Result<void> {
    TRY(insert(session, "x"));
    if (++runs == 1) TRY(run(session, "SELECT pg_terminate_backend(pg_backend_pid())"));
    return {};
  }),
              IsOk());
  EXPECT_EQ(runs, 2);
  EXPECT_EQ(count(), 1);
}

TEST_F(PostgresJobs, AConnectionThatDiedWhileItWasIdleIsNotNoticed) {
  count();
  ASSERT_THAT(database_->write([](Session& session) { return insert(session, "x"); }), IsOk());
  ASSERT_THAT(run(*connect(),
                  "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                  " WHERE datname = current_database() AND pid <> pg_backend_pid()"),
              IsOk());
  EXPECT_THAT(database_->write([](Session& session) { return insert(session, "y"); }), IsOk());
  EXPECT_EQ(count(), 2);
}

TEST_F(PostgresJobs, AConnectionLostDuringTheCommitIsReportedAndNeverRepeated) {
  ASSERT_THAT(
      connect()->run_script(
          "CREATE FUNCTION die() RETURNS trigger LANGUAGE plpgsql AS"
          " $$ BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NULL; END $$;"
          "CREATE CONSTRAINT TRIGGER die AFTER INSERT ON idempotency_keys DEFERRABLE INITIALLY DEFERRED"
          " FOR EACH ROW EXECUTE FUNCTION die()"),
      IsOk());
  int runs = 0;
  const Result<void> written = database_->write([&](Session& session) {
    ++runs;
    return insert(session, "x");
  });
  EXPECT_THAT(written, FailsWith(ErrorCode::kIo));
  EXPECT_THAT(written, SaysError("not known whether it was saved"));
  EXPECT_EQ(runs, 1);
  ASSERT_THAT(connect()->run_script("DROP TRIGGER die ON idempotency_keys"), IsOk());
  EXPECT_THAT(database_->write([](Session& session) { return insert(session, "y"); }), IsOk());
}

TEST_F(PostgresJobs, AServerThatNeverAnswersIsGivenUp) {
  const auto connection = connect({.answer = Duration(50)});
  connection->begin();
  EXPECT_THAT(connection->execute("SELECT pg_sleep(60)", {}), FailsWith(ErrorCode::kUnavailable));
  EXPECT_EQ(connection->failure(), PostgresConnection::Failure::kLost);
}

TEST_F(PostgresJobs, AStatementThatTakesTooLongIsStopped) {
  const auto connection = connect({.statement = Duration(50)});
  connection->begin();
  EXPECT_THAT(connection->execute("SELECT pg_sleep(60)", {}), SaysError("too long"));
  EXPECT_EQ(connection->failure(), PostgresConnection::Failure::kStatement);
}

TEST_F(PostgresJobs, AWriterThatFindsNoConnectionInTimeIsRefused) {
  const auto one = open({.writers = 1, .longest_wait = Duration(1)});
  EXPECT_THAT(one->write([&](Session&) -> Result<void> {
    EXPECT_THAT(one->write([](Session& session) { return insert(session, "x"); }),
                FailsWith(ErrorCode::kUnavailable));
    return {};
  }),
              IsOk());
}

// ---- the session ----

TEST_F(PostgresJobs, ACommitIsDurableWhateverTheServersDefaultIs) {
  const auto synchronous_commit = [&] {
    return RowReader(connect()->execute("SELECT current_setting('synchronous_commit')", {}).value().front())
        .text();
  };
  const std::string name =
      RowReader(connect()->execute("SELECT current_database()", {}).value().front()).text();
  EXPECT_EQ(synchronous_commit(), "on");
  for (const auto& [setting, expected] :
       {std::pair{"off", "on"}, {"local", "on"}, {"remote_apply", "remote_apply"}}) {
    PostgresCluster::shared().query("postgres",
                                    "ALTER DATABASE " + name + " SET synchronous_commit = " + setting);
    EXPECT_EQ(synchronous_commit(), expected);
  }
}

// ---- the address ----

TEST(PostgresAddress, NamesTheDatabaseWithoutThePassword) {
  const auto address = PostgresAddress::parse("postgresql://ann:s3cret@db.example:5433/ops").value();
  EXPECT_EQ(address.name(), "ops at db.example:5433");
  EXPECT_EQ(address.without_password("no s3cret is\nsafe from s3cret\n"), "no *** is safe from ***");
}

TEST(PostgresAddress, WhatCanNotBeReadIsRefusedWithoutRepeatingIt) {
  for (const char* uri : {"", "ops", "mysql://ann:s3cret@host/ops", "host=db password=s3cret",
                          "postgresql://ann:s3/cret@host/ops", "postgresql://ann:x@s3cret@host/ops",
                          "postgresql://ann:x@host/ops?s3cret=1", "postgresql://ann:%s3cret@h/d"}) {
    const auto address = PostgresAddress::parse(uri);
    EXPECT_THAT(address, FailsWith(ErrorCode::kInvalidArgument)) << uri;
    if (!address.ok()) {
      EXPECT_EQ(address.error().describe().find("cret"), std::string::npos) << uri;
    }
  }
}

TEST(PostgresLogin, AWrongPasswordAndAMissingDatabaseAreErrorsThatSayWhatToDo) {
  PostgresCluster& cluster = PostgresCluster::shared();
  cluster.create_user("careful", "right");
  SystemClock clock;
  const auto open_as = [&](const std::string& user, const std::string& database) {
    return open_postgres_repository(cluster.uri(database, user), clock);
  };
  testing::migrated_template();
  const auto refused = open_as("careful:wr0ng-s3cret", "migrated");
  EXPECT_THAT(refused, FailsWith(ErrorCode::kIo));
  EXPECT_THAT(refused, SaysError("check the user and the password"));
  EXPECT_EQ(refused.error().describe().find("wr0ng"), std::string::npos);
  EXPECT_THAT(open_as("careful:right", "migrated"), IsOk());
  EXPECT_THAT(open_as("postgres", "missing"), SaysError("create it with createdb"));
}

}  // namespace
}  // namespace ktrdr::storage
