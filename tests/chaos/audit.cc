#include "audit.h"

#include <sstream>

namespace ktrdr::chaos {
namespace {

// kind 'stale': a write that should have been refused; 'lost': a checkpoint or an operation is gone; 'rewind'
// and 'commit': to be counted. A commit is looked at when its transaction ends, because only then all of it
// is there.
constexpr const char* kTriggers = R"sql(
SET search_path = ktrdr;
CREATE TABLE chaos_audit (number BIGSERIAL PRIMARY KEY, kind TEXT, operation_id TEXT, detail TEXT);

CREATE FUNCTION chaos_commit() RETURNS TRIGGER LANGUAGE plpgsql AS $body$
DECLARE o operations%ROWTYPE;
BEGIN
  SELECT * INTO o FROM operations WHERE operation_id = NEW.operation_id;
  INSERT INTO chaos_audit (kind, operation_id, detail)
    VALUES ('commit', NEW.operation_id, NEW.attempt || '-' || NEW.sequence);
  IF o.attempt <> NEW.attempt OR o.status <> 'running' OR o.owner IS NULL
     OR o.checkpoint_sequence IS DISTINCT FROM NEW.sequence THEN
    INSERT INTO chaos_audit (kind, operation_id, detail)
      VALUES ('stale', NEW.operation_id, 'commit ' || NEW.attempt || '-' || NEW.sequence || ' in attempt ' ||
              o.attempt || ', ' || o.status);
  END IF;
  RETURN NULL;
END $body$;
CREATE CONSTRAINT TRIGGER chaos_commit AFTER INSERT ON checkpoints DEFERRABLE INITIALLY DEFERRED
  FOR EACH ROW EXECUTE FUNCTION chaos_commit();

CREATE FUNCTION chaos_change() RETURNS TRIGGER LANGUAGE plpgsql AS $body$
DECLARE wrong TEXT; kind TEXT := 'stale';
BEGIN
  IF NEW.attempt < OLD.attempt OR NEW.attempt > OLD.attempt + 1 THEN
    wrong := 'attempt ' || OLD.attempt || ' became ' || NEW.attempt;
  ELSIF NEW.attempt = OLD.attempt AND OLD.owner <> NEW.owner THEN
    wrong := 'one attempt of two owners: ' || OLD.owner || ', ' || NEW.owner;
  ELSIF NEW.attempt = OLD.attempt AND OLD.owner IS NOT NULL AND NEW.owner IS NULL AND NEW.status IN ('pending', 'running') THEN
    wrong := 'an attempt lost its owner and goes on: ' || OLD.owner;
  ELSIF OLD.status = 'completed' AND (NEW.status <> 'completed' OR NEW.model_sha256 IS DISTINCT FROM OLD.model_sha256)
     OR OLD.status IN ('failed', 'cancelled') AND NEW.status <> OLD.status
        AND (NEW.status <> 'running' OR NEW.attempt = OLD.attempt) THEN
    wrong := OLD.status || ' became ' || NEW.status || ' in attempt ' || NEW.attempt;
  ELSIF OLD.checkpoint_sequence IS NOT NULL AND NEW.checkpoint_sequence IS NULL AND NEW.status <> 'completed' THEN
    kind := 'lost'; wrong := 'the pointer of a ' || NEW.status || ' operation';
  ELSIF NEW.checkpoint_sequence < OLD.checkpoint_sequence THEN
    kind := 'rewind'; wrong := OLD.checkpoint_sequence || ' to ' || NEW.checkpoint_sequence;
  END IF;
  IF wrong IS NOT NULL THEN
    INSERT INTO chaos_audit (kind, operation_id, detail) VALUES (kind, NEW.operation_id, wrong);
  END IF;
  RETURN NULL;
END $body$;
CREATE TRIGGER chaos_change AFTER UPDATE ON operations FOR EACH ROW EXECUTE FUNCTION chaos_change();

CREATE FUNCTION chaos_delete() RETURNS TRIGGER LANGUAGE plpgsql AS $body$
BEGIN
  INSERT INTO chaos_audit (kind, operation_id, detail) VALUES ('lost', OLD.operation_id, 'the whole row');
  RETURN NULL;
END $body$;
CREATE TRIGGER chaos_delete AFTER DELETE ON operations FOR EACH ROW EXECUTE FUNCTION chaos_delete();
)sql";

// kind|operation|detail|how many
constexpr const char* kFindings = R"sql(
SET search_path = ktrdr;
WITH found AS (DELETE FROM chaos_audit RETURNING kind, operation_id, detail)
SELECT kind, '', '', COUNT(*) FROM found WHERE kind = 'commit' GROUP BY 1
UNION ALL SELECT kind, operation_id, detail, 1 FROM found WHERE kind <> 'commit'
)sql";

void count_finding(const std::string& line, Score& score) {
  std::istringstream fields(line);
  std::string kind, operation, detail, how_many;
  std::getline(fields, kind, '|');
  std::getline(fields, operation, '|');
  std::getline(fields, detail, '|');
  std::getline(fields, how_many);
  const std::string what = operation + ": " + detail;
  if (kind == "commit") score.add(Count::kCheckpointsAcknowledged, std::stoll(how_many));
  else if (kind == "stale") score.wrong(Count::kStaleWritesAccepted, what);
  else if (kind == "lost") score.wrong(Count::kCheckpointsLost, what);
  else if (kind == "rewind") score.wrong(Count::kRewinds, what);
}

}  // namespace

void install_audit(const storage::testing::PostgresCluster& cluster, const std::string& database) {
  cluster.query(database, kTriggers);
}

void count_audit(const storage::testing::PostgresCluster& cluster, const std::string& database,
                 Score& score) {
  std::istringstream lines(cluster.query(database, kFindings));
  for (std::string line; std::getline(lines, line);) {
    if (!line.empty()) count_finding(line, score);
  }
}

}  // namespace ktrdr::chaos
