// Sends prepared TLS records to a port of this machine, as fast as it can: what costs the server
// much and the client, who has made them before, nothing.
//
// attack_records PORT key-updates|renegotiations|octets RECORDS: prepares four connections with so
// many records each, says "ready", waits for a line on its input, sends, and ends when the server
// has read all or has ended the connections.
#include <atomic>
#include <cstddef>
#include <exception>
#include <iostream>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "tests/http/forged_records.h"

namespace gatehouse::testing {
namespace {

constexpr std::size_t kConnections = 4;

std::string prepare(ForgedRecords& records, const std::string& kind, std::size_t count) {
  std::string octets;
  if (kind == "octets") {
    octets = records.record(ContentType::application_data,
                            "POST /acme/new-order HTTP/1.1\r\nHost: localhost\r\nContent-Length: " +
                                std::to_string(count) + "\r\n\r\n");
  }
  for (std::size_t i = 0; i < count; ++i) {
    if (kind == "key-updates") {
      octets += records.key_update();
    } else if (kind == "renegotiations") {
      octets += records.record(ContentType::handshake, std::string("\x01\0\0\0", 4));
    } else if (kind == "octets") {
      octets += records.record(ContentType::application_data, "x");
    } else {
      throw std::runtime_error("there is no attack " + kind);
    }
  }
  return octets;
}

void attack(std::uint16_t port, const std::string& kind, std::size_t count) {
  const http::ListenerAddress to{
      .listener = {}, .address = "127.0.0.1", .port = port, .unix_path = {}};
  const int version = kind == "renegotiations" ? TLS1_2_VERSION : TLS1_3_VERSION;
  std::vector<std::unique_ptr<ForgingClient>> clients;
  std::vector<std::string> prepared;
  for (std::size_t i = 0; i < kConnections; ++i) {
    clients.push_back(std::make_unique<ForgingClient>(Client::to(to), version));
    prepared.push_back(prepare(*clients.back()->records, kind, count));
  }
  std::cout << "ready" << std::endl;
  std::string line;
  std::getline(std::cin, line);
  std::vector<std::jthread> senders;
  for (std::size_t i = 0; i < kConnections; ++i) {
    senders.emplace_back([&, i] {
      if (!clients[i]->send(prepared[i])) return;
      clients[i]->client.finish_writing();
      clients[i]->client.receive_to_end();
    });
  }
}

}  // namespace
}  // namespace gatehouse::testing

int main(int argc, char** argv) {
  try {
    if (argc != 4) throw std::runtime_error("usage: attack_records PORT KIND RECORDS");
    gatehouse::testing::attack(static_cast<std::uint16_t>(std::stoul(argv[1])), argv[2],
                               std::stoul(argv[3]));
    return 0;
  } catch (const std::exception& error) {
    std::cerr << "attack_records: " << error.what() << "\n";
    return 1;
  }
}
