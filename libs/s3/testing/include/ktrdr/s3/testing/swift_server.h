// An S3 server of a test's own: OpenStack Swift, which checks every signature, with its data in a temporary
// folder and on a free port, so that any number of test programs may run at once.
//
//   S3Bucket bucket(find_s3_settings(SwiftServer::shared().place("some/prefix"),
//                                    SwiftServer::shared().environment()).value());
//
// It ends with this object, and also when the program that holds it is killed. Create it in a thread that
// lives as long. Whatever fails, a missing Swift included, ends the test program with the reason: such a test
// must never be skipped. Swift has no conditional writes; parts and pages may be as small as a test likes.
#pragma once

#include <sys/types.h>

#include <string>

#include "ktrdr/core/testing/temporary_folder.h"
#include "ktrdr/s3/s3_settings.h"

namespace ktrdr::s3::testing {

class SwiftServer {
 public:
  SwiftServer();  // starts it: some seconds
  ~SwiftServer();
  SwiftServer(const SwiftServer&) = delete;
  SwiftServer& operator=(const SwiftServer&) = delete;

  // The one that the tests of this program share, started at its first use. Ends with the program.
  static SwiftServer& shared();

  std::string url() const { return url_; }
  // "s3://ktrdr-test/prefix"; the bucket is there.
  std::string place(const std::string& prefix) const;
  // What a user would have exported.
  Environment environment() const;
  Environment environment_with(const std::string& name, const std::string& value) const;

  void kill();   // SIGKILL; what it acknowledged stays
  void start();  // after kill(), on the same port

 private:
  std::string log() const;

  ktrdr::testing::TemporaryFolder folder_;
  std::string url_;
  pid_t server_ = -1;
};

// A prefix that no test of this program has used.
std::string fresh_prefix();

}  // namespace ktrdr::s3::testing
