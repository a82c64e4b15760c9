// Every figure that we claim of the API, measured here and now. `bench_api NAME` runs one part.
#include <string_view>
#include <thread>

#include "../parts.h"
#include "benches.h"
#include "ktrdr/core/log.h"
#include "ktrdr/core/testing/temporary_folder.h"
#include "programs.h"

namespace ktrdr::bench {
namespace {

// What the parts share, each made when it is first needed.
struct Shared {
  // The first that asks decides; the million rows are made while the machine only counts answers.
  storage::testing::PostgresCluster& postgres() { return storage::testing::PostgresCluster::shared(); }

  testing::TemporaryFolder folder;
  std::filesystem::path million = folder / "million";
  std::jthread filler;
};

// They are about who wins, not about time, so they need not wait for each other.
void resumes(Figures& figures, Shared& shared) {
  const std::jthread beside([&figures] { resumes_on_sqlite(figures); });
  resumes_on_postgres(figures, shared.postgres());
}

void list(Figures& figures, Shared& shared) {
  if (shared.filler.joinable()) shared.filler.join();
  else fill_with_a_million(shared.million);
  list_pages(figures, shared.million);
}

void peer(Figures& figures, Shared& shared) { compare_with_peer(figures, shared.postgres()); }
void transitions(Figures& figures, Shared&) { durable_transitions(figures); }

constexpr Part<Shared> kParts[] = {
    {"resumes", resumes}, {"list", list}, {"transitions", transitions}, {"peer", peer}};

int run(std::string_view wanted) {
  const TemporaryFoldersIn memory(in_memory());
  Shared shared;
  // A busy machine makes the race and the storm no easier.
  if (wanted.empty()) shared.filler = std::jthread([&shared] { fill_with_a_million(shared.million); });
  return run_parts(kParts, wanted, shared);
}

}  // namespace
}  // namespace ktrdr::bench

int main(int count, char** arguments) {
  ktrdr::start_logging("bench", ktrdr::LogLevel::kWarning);
  return ktrdr::bench::run(count > 1 ? arguments[1] : "");
}
