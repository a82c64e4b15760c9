// What every OperationsRepository must do, as tests. A store takes part by one line:
//
//   INSTANTIATE_TEST_SUITE_P(Memory, OperationsRepositoryContract, Values(RepositoryFactory{..}),
//   name_of_factory);
//
// The numbers in brackets are the rules of fencing (docs/protocol.md).
#pragma once

#include "ktrdr/storage/testing/client_requests_contract.h"
#include "ktrdr/storage/testing/endings_contract.h"
#include "ktrdr/storage/testing/events_contract.h"
#include "ktrdr/storage/testing/lists_contract.h"
#include "ktrdr/storage/testing/operation_states_contract.h"
#include "ktrdr/storage/testing/restarts_contract.h"
#include "ktrdr/storage/testing/worker_requests_contract.h"
