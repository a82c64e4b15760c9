// The operations table: one row per operation, one state machine, and the rules of fencing in the WHERE
// clauses.
//
//   pending --claim--> running --complete--> completed
//      |                 | \--fail, lease lost--> failed ----+
//      |                 \----stopped on request--> cancelled-+--try_resume--> running, unclaimed,
//      \--cancel--> cancelled                                                   attempt + 1
//
// With restarts allowed, what fails, falls silent or is shut down goes to `running, unclaimed, attempt + 1`
// straight away (RestartRule).
//
// Every change is ONE conditional UPDATE that names what it expects; a refused change changes nothing, and
// only then a second read explains the refusal. Every call is durable before it returns. Implementations are
// safe to call from any thread and block until the store answered. Numbers in brackets are the rules of
// docs/protocol.md.
//
// Every accepted change appends its event to the operation's history, in the same transaction; a repeat that
// changes nothing and a refusal append none. Heartbeats and epochs are no events.
//
// Errors besides those named at a method: kNotFound for an unknown operation, kIo when the store failed
// (after that, whether the change was made is known only by asking again), kUnavailable when it is too busy.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "ktrdr/api/event.h"
#include "ktrdr/api/operation.h"
#include "ktrdr/api/training.h"
#include "ktrdr/api/worker.h"
#include "ktrdr/core/ids.h"
#include "ktrdr/core/result.h"

namespace ktrdr::storage {

// Who writes: rule 3. Any other pair, and any row that is not running, is refused with kStale.
struct Fence {
  Attempt attempt = 0;
  WorkerId worker;
};

// What a client may add to a change (rule 13).
struct Precondition {
  std::optional<std::int64_t> if_version;  // If-Match; another version is kPreconditionFailed
};

// A key a client chose for one change, and the hash of what it asked for (rule 13).
struct IdempotencyKey {
  std::string key;
  std::string request_hash;
};

// A place in a training, 0-based.
struct BatchPosition {
  std::int64_t epoch = 0, batch = 0;
  auto operator<=>(const BatchPosition&) const = default;
};

// Whether an attempt that failed, lost its worker or was handed back is followed by the next one without
// anybody asking. Never when a cancel was requested, and never when the same batch failed twice in a row.
struct RestartRule {
  std::int64_t at_most = 0;                // times since a client started or resumed it; 0: never
  std::optional<BatchPosition> failed_at;  // of fail(): the batch that failed, when one did
};

struct NewOperation {
  OperationId id;
  std::string operation_type = "training";
  api::OperationMetadata metadata;
  api::TrainingRequest request;
};

// `replayed`: the same Idempotency-Key with the same request was here before; this is its answer, nothing was
// changed.
struct Created {
  api::Operation operation;
  bool replayed = false;
};

struct Resumed {
  api::Operation operation;  // already running, attempt + 1, unclaimed
  api::CheckpointInfo from;
  bool replayed = false;
};

struct Claimed {
  api::Operation operation;
  std::optional<CheckpointRef> current_checkpoint;
  std::int64_t next_sequence = 0;
};

struct HeartbeatOutcome {
  bool cancel_requested = false;
  std::int64_t version = 0;
};

// Of a change of the checkpoint rows.
struct Committed {
  std::vector<CheckpointRef> dropped;
  std::int64_t version = 0;
};

struct Completed {
  api::Operation operation;
  std::vector<CheckpointRef> dropped;  // the pointers are cleared; the files can go now
};

// What the sweeper watches (rule 7).
struct Pulse {
  OperationId id;
  Attempt attempt = 0;
  std::optional<WorkerId> owner;
  std::string owner_name;
  std::int64_t heartbeat_sequence = 0;
  bool cancel_requested = false;
  std::optional<std::string> last_heartbeat_at;
  std::optional<CheckpointRef> current_checkpoint;
};

// An operation that waits for a worker: pending, or resumed and unclaimed.
struct Waiting {
  OperationId id;
  Attempt attempt = 0;
  bool is_resume = false;  // it has a checkpoint
  // How many restarts in a row led here: whoever dispatches it waits accordingly. 0: it may go at once, also
  // when its last worker handed it back.
  std::int64_t restarts = 0;
};

// A place in a list that is ordered by time, then id: it stays where it is when rows come and go.
struct PageKey {
  std::string created_at;
  std::string operation_id;
  auto operator<=>(const PageKey&) const = default;
};

// Which rows to list: newest first. A negative limit or offset counts as 0, a limit over 1000 as 1000.
struct ListQuery {
  std::optional<api::OperationStatus> status;
  std::optional<std::string> operation_type;
  std::optional<WorkerId> worker;  // the last to own it
  bool active_only = false;        // pending or running
  std::optional<PageKey> after;    // only rows that follow this place: the page's `next` before
  std::int64_t limit = 10;
  std::int64_t offset = 0;
};

struct OperationPage {
  std::vector<api::Operation> operations;
  std::int64_t total_count = 0;   // rows that match, on all pages
  std::int64_t active_count = 0;  // pending or running rows in all
  std::optional<PageKey> next;    // where the next page starts; nothing on the last one
};

// Which current checkpoints to list: newest first, one of each operation. The limit is that of ListQuery.
struct CheckpointQuery {
  std::optional<std::string> created_before;  // a timestamp as in the rows
  std::optional<PageKey> after;
  std::int64_t limit = 1000;
  bool with_total = false;  // it costs with their number, where a page costs with its length
};

struct OperationCheckpoint {
  OperationId operation;
  std::int64_t operation_version = 0;  // what a fenced drop of it names
  api::CheckpointInfo checkpoint;
};

struct CheckpointPage {
  std::vector<OperationCheckpoint> checkpoints;
  std::optional<std::int64_t> total_count;  // of all pages, when the query asks for it
  std::optional<PageKey> next;
};

struct CheckpointTotals {
  std::int64_t operations = 0;                   // that have a checkpoint
  std::int64_t checkpoints = 0, size_bytes = 0;  // the current ones and their predecessors
  std::optional<std::string> oldest_created_at;
};

// A checkpoint's event goes when this many newer events are there, so that the history of a training of a
// hundred thousand short epochs stays small; every other event stays for ever.
inline constexpr std::int64_t kEventsBehindACheckpoint = 1000;
inline constexpr std::int64_t kMostEvents = 1000;  // of one answer

// Which events: those that follow `after`, oldest first; without it the newest. The limit is cut to
// kMostEvents.
struct EventQuery {
  std::optional<std::int64_t> after;
  std::int64_t limit = 100;
};

struct EventPage {
  std::vector<api::OperationEvent> events;                       // oldest first
  api::OperationStatus status = api::OperationStatus::kPending;  // of the operation, at the same moment
  std::int64_t last_sequence = 0;  // of the newest event there is; 0 for an operation older than histories
};

class OperationsRepository {
 public:
  virtual ~OperationsRepository() = default;

  // What create() answered to this key, before anything else is looked at: the data that a repeated request
  // was made for may be gone. Nothing when the key is new; kConflict when it was used for another request.
  virtual Result<std::optional<api::Operation>> created_before(const IdempotencyKey& key) = 0;

  // A new pending row, phase queued, attempt 1, version 1. kConflict when the id exists, or when the key was
  // used for another request.
  virtual Result<Created> create(const NewOperation& operation, const std::optional<IdempotencyKey>& key) = 0;

  // A new pending row with the request (also the seed and the pinned end of the data) of a failed or
  // cancelled one, which becomes its parent and stays as it is: the same experiment from its beginning.
  // Refused: kConflict in any other status, kPreconditionFailed; otherwise as create().
  virtual Result<Created> retry(const OperationId& id, const OperationId& new_id,
                                const Precondition& precondition,
                                const std::optional<IdempotencyKey>& key) = 0;

  // With warnings, metrics (the epochs) and the current checkpoint.
  virtual Result<api::Operation> get(const OperationId& id) = 0;
  virtual Result<api::TrainingJob> job(const OperationId& id) = 0;
  // Without warnings and metrics, which a list doesn't show. The counts come from counters, not from
  // counting.
  virtual Result<OperationPage> list(const ListQuery& query) = 0;
  // What was made from this operation (its retries), oldest first, as list() shows them.
  virtual Result<std::vector<api::Operation>> children(const OperationId& id) = 0;

  // [1] cancelled or failed, with a checkpoint -> running: started_at now, completed_at, error, owner,
  // heartbeat, phase (queued) and cancel request cleared, attempt + 1, version + 1; the stored request's
  // allow_changes is set to the given one. Refused: kConflict "already running" / "already completed" /
  // "cannot resume a pending operation"; kCheckpointNotFound when there is no checkpoint (says to use retry);
  // kPreconditionFailed.
  virtual Result<Resumed> try_resume(const OperationId& id, bool allow_changes,
                                     const Precondition& precondition,
                                     const std::optional<IdempotencyKey>& key) = 0;

  // [2] (pending or running) and unclaimed and no cancel request and this attempt -> running, owned;
  // started_at is set when it was pending. Deletes epochs after the current checkpoint's last completed one,
  // so that history is rewound. The same claim again gets the same answer. Refused: kStale when the attempt
  // moved on, kConflict otherwise.
  virtual Result<Claimed> claim(const OperationId& id, const Fence& fence,
                                const std::string& worker_name) = 0;

  // [3] heartbeat_sequence + 1, progress and phase stored (not a version). New epochs are inserted or
  // replaced, new warnings are appended (the same text once).
  virtual Result<HeartbeatOutcome> heartbeat(const OperationId& id, const api::HeartbeatRequest& beat) = 0;

  // [3] Epochs only; a sign of life as well.
  virtual Result<std::int64_t> add_epochs(const OperationId& id, const Fence& fence,
                                          const std::vector<api::EpochMetrics>& epochs) = 0;

  // created_at: as given, a moment of the server's clock; none given: now. The sequence number must be higher
  // than any before it, also than that of a checkpoint that was rewound. [4][10] Inserts the checkpoint,
  // moves the pointer, drops all rows but the newest two, in one transaction. The parent must be the current
  // pointer (or both none). The same commit again gets the same answer. Refused: kStale by the fence,
  // kConflict when the parent is not the current one or the number is not higher, kInvalidArgument when the
  // checkpoint is named after another attempt than the fence's.
  virtual Result<Committed> commit_checkpoint(const OperationId& id, const Fence& fence,
                                              const api::CheckpointInfo& checkpoint) = 0;

  // [9] The pointer goes from `bad` to `previous` (both must be rows), the bad row is dropped, a warning with
  // the reason is added, epochs after `previous` are deleted. The same rewind again gets the same answer.
  // kStale, kConflict.
  virtual Result<Committed> rewind(const OperationId& id, const Fence& fence,
                                   const api::RewindRequest& request) = 0;

  // [8][12] running -> completed: result, model, progress 100, checkpoint rows and pointer cleared. Wins over
  // a cancel request that was not acted on. The same complete again (same model_sha256, same fence) gets the
  // same answer. kStale.
  virtual Result<Completed> complete(const OperationId& id, const api::CompleteRequest& request) = 0;

  // running -> failed; by the rule -> running, attempt + 1, unclaimed, phase queued, `restarts` + 1. A
  // failure that ends it although there are restarts says why in the message. The same again gets the same
  // answer, after a restart until the next attempt is claimed. kStale.
  virtual Result<api::Operation> fail(const OperationId& id, const Fence& fence, const std::string& message,
                                      const RestartRule& rule = {}) = 0;

  // running -> cancelled by its worker: after a cancel request (message: the reason given), or on shutdown (a
  // message that says so); with restarts allowed a shutdown hands it back instead: running, attempt + 1,
  // unclaimed, and `restarts` stays. Progress, epochs and the warning are stored too. The same again gets the
  // same answer, as with fail(). kStale.
  virtual Result<api::Operation> stopped(const OperationId& id, const api::StoppedRequest& request,
                                         const RestartRule& rule = {}) = 0;

  // An attempt that could not be started (no checkpoint, or a corrupted one): running, unclaimed, this
  // attempt -> failed.
  virtual Result<api::Operation> fail_unclaimed(const OperationId& id, Attempt attempt,
                                                const std::string& message) = 0;

  // [8] pending or unclaimed -> cancelled at once; claimed -> cancel request and phase cancelling, the row
  // stays running. Asking again while it stops is the same answer. kConflict on a finished row;
  // kPreconditionFailed.
  virtual Result<api::Operation> request_cancel(const OperationId& id, const std::string& reason,
                                                const Precondition& precondition) = 0;

  // [7] Every running row that has an owner.
  virtual Result<std::vector<Pulse>> pulses() = 0;
  // [7] Ends an operation whose worker fell silent: running, this attempt, this owner, heartbeat sequence
  // still the watched one -> failed with the message, or, when a cancel was requested, cancelled with a
  // warning that names the worker and the checkpoint; by the rule -> the next attempt, as with fail(). What
  // it last told of its place counts as the batch that failed when it was training and had got past its
  // checkpoint. False: it moved in between, nothing changed.
  virtual Result<bool> end_orphan(const Pulse& watched, const std::string& message,
                                  const RestartRule& rule = {}) = 0;

  // Oldest first: pending, or running and unclaimed.
  virtual Result<std::vector<Waiting>> waiting(std::int64_t limit) = 0;

  // Newest first. [10][11]
  virtual Result<std::vector<api::CheckpointInfo>> checkpoints(const OperationId& id) = 0;
  // Clears the pointer and the rows of an operation that is not running; the files can go after. A change of
  // state, so version + 1: a late repeat with If-Match can't hit the checkpoint of a later run. kConflict
  // while running or pending, kCheckpointNotFound when there is none, kPreconditionFailed.
  virtual Result<Committed> drop_checkpoints(const OperationId& id, const Precondition& precondition) = 0;
  virtual Result<CheckpointPage> list_checkpoints(const CheckpointQuery& query) = 0;
  virtual Result<CheckpointTotals> checkpoint_totals() = 0;

  // Which objects of this operation the sweep may not touch: what rows name, and (for a running row)
  // everything of the current attempt. Nothing for an unknown operation. [11]
  struct Keep {
    std::vector<CheckpointRef> refs;
    std::optional<Attempt> whole_attempt;
  };
  virtual Result<Keep> keep(const OperationId& id) = 0;

  // What happened to the operation. Numbers grow in the order of the changes, and none is seen before the
  // ones below it: who has read up to n misses nothing by asking for what follows n.
  virtual Result<EventPage> events(const OperationId& id, const EventQuery& query) = 0;
  // The number of each operation's newest event, in the order asked; 0 for none, also when it is unknown.
  virtual Result<std::vector<std::int64_t>> last_events(const std::vector<OperationId>& ids) = 0;

  // Forgets the keys that were first used before this moment: their requests are new ones from then on.
  // Answers how many. Called by the housekeeping loop.
  virtual Result<std::int64_t> forget_idempotency_keys(std::int64_t older_than_wall_ms) = 0;
};

}  // namespace ktrdr::storage
