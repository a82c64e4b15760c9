// The parts of bench_supervision.
#pragma once

#include "../figures.h"

namespace ktrdr::bench {

// Worker SIGKILL to `failed`; and to training again, where the server restarts by itself.
void worker_killed(Figures& figures);

// Server SIGKILL and restart to every live worker being its own again.
void server_restarted(Figures& figures);

// 10,000 workers' heartbeats at one server.
void ten_thousand_workers(Figures& figures);

}  // namespace ktrdr::bench
