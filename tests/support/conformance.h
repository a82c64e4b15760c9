// Every answer that a test of this folder gets over HTTP is held against the OpenAPI document of the server
// or worker that gave it, and fails the test when it is not as documented: all system tests are conformance
// tests. No test asks for it: the linker puts the check around HttpClient::request (see CMakeLists.txt), so
// nothing that a test asks goes past it.
#pragma once

#include <string>

namespace ktrdr::system_test {

// The same for an answer that came another way: over a connection whose bytes the test writes itself.
// `request` is the head up to its empty line, for a server of this machine.
void check_answer(int port, const std::string& request, const std::string& body, int status,
                  const std::string& answer);

// How many answers of this program were checked.
int checked_answers();

}  // namespace ktrdr::system_test
