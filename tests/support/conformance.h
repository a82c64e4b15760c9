// Every answer that a test of this folder gets over HTTP is held against the OpenAPI document of the server
// or worker that gave it, and fails the test when it is not as documented: all system tests are conformance
// tests. No test asks for it: the linker puts the check around HttpClient::request (see CMakeLists.txt), so
// nothing goes past it.
#pragma once

namespace ktrdr::system_test {

// How many answers of this program were checked.
int checked_answers();

}  // namespace ktrdr::system_test
