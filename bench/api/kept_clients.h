// Many HTTP clients in one thread, each with a connection that it keeps and one request at a time on it. It
// costs the machine little, so that what is measured is the server.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "../figures.h"

namespace ktrdr::bench {

struct Answer {
  int status = 0;  // 0: the server hung up
  double seconds = 0;
  std::string body;
};

std::string get_request(const std::string& path);
std::string post_request(const std::string& path);

// Not thread-safe.
class KeptClients {
 public:
  using Next = std::function<std::optional<std::string>(std::size_t client)>;
  using Answered = std::function<void(std::size_t client, const Answer& answer)>;

  // Client i talks to ports[i % ports.size()] of this machine.
  KeptClients(const std::vector<int>& ports, std::size_t clients);
  ~KeptClients();
  KeptClients(const KeptClients&) = delete;
  KeptClients& operator=(const KeptClients&) = delete;

  // First every client sends; then each sends its next request as soon as it was answered, until `next` has
  // no more for it. Returns when all were answered.
  void run(const Next& next, const Answered& answered);

 private:
  struct Client {
    int socket = -1;
    std::string received;
    Stopwatch::time_point sent_at;
  };
  void connect_to(int port);
  bool send_next(std::size_t client, const Next& next);
  std::optional<Answer> read_answer(Client& client);

  int epoll_ = -1;
  std::vector<Client> clients_;
};

// One request, one answer.
Answer ask(int port, const std::string& request);

}  // namespace ktrdr::bench
