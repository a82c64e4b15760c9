// A network of this program's own, in which an address can be cut off: the kernel drops every packet to it
// and from it, and tells nobody.
#pragma once

#include <optional>
#include <string>

namespace ktrdr::chaos {

// Call before any thread starts: this thread, and what it starts, are in that network from now on, and it is
// gone with them. Everything listens on 127.0.0.0/8, as before. The reason, where the machine forbids it;
// then nothing has changed.
std::optional<std::string> enter_own_network_namespace();

// In that network only.
void cut_off(const std::string& address);
void reconnect(const std::string& address);

}  // namespace ktrdr::chaos
