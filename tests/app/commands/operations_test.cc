// docs/operations.md by the letter: each command in it is run in its order, on installations in
// scratch folders.
#include <doctest/doctest.h>
#include <signal.h>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <regex>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "acme-server/base/files.h"
#include "acme-server/base/json.h"
#include "acme-server/base/text.h"
#include "tests/support/company_ca.h"
#include "tests/support/paths.h"
#include "tests/support/program.h"
#include "tests/support/socket_acme.h"

namespace gatehouse::testing {
namespace {

namespace fs = std::filesystem;

constexpr const char* kBaseUrl = "https://acme.corp.example";

struct Command {
  std::size_t line = 0;
  std::string section = {};
  std::string text = {};  // on one line
};

// The commands of its sh blocks.
std::vector<Command> read_document() {
  std::vector<Command> commands;
  const std::string text = read_file(source_directory() + "/docs/operations.md");
  bool in_block = false;
  std::string section;
  std::optional<Command> command;
  std::size_t number = 0;
  for (std::string_view line : split(text, '\n')) {
    ++number;
    if (line.starts_with("```")) {
      in_block = !in_block;
      CHECK_MESSAGE(line == (in_block ? "```sh" : "```"), "line ", number,
                    ": a block of commands is ```sh");
    } else if (in_block) {
      if (!command) command = Command{.line = number, .section = section};
      const bool goes_on = line.ends_with('\\');
      command->text += trim(line.substr(0, line.size() - (goes_on ? 1 : 0)));
      if (goes_on) {
        command->text += ' ';
      } else {
        commands.push_back(*std::exchange(command, {}));
      }
    } else {
      CHECK_MESSAGE(!line.starts_with("    "), "line ", number, ": a block of commands is ```sh");
      if (line.starts_with("## ")) section = line.substr(3);
    }
  }
  return commands;
}

// A machine of the document: its absolute paths are in a scratch folder, and systemctl is this.
class Machine final {
 public:
  Machine() {
    for (const char* folder : kPlaces) fs::create_directories(folder_.path() + folder);
    for (const char* own : {"/etc/gatehouse", "/var/lib/gatehouse"}) {  // as the package makes them
      fs::permissions(folder_.path() + own, fs::perms::owner_all);
    }
    fs::create_directories(folder_.path() + "/bin");
    fs::create_symlink(binary_directory() + "/gatehouse", folder_.path() + "/bin/gatehouse");
  }

  std::string at(const std::string& path) const { return folder_.path() + path; }

  // As the shell of somebody who stands in /etc/gatehouse.
  Outcome shell(const std::string& command) const {
    Program program("sh", {"-c", line_of(command)});
    const int code = program.wait();
    return {.code = code, .printed = program.printed()};
  }

  // One that runs until it is told to stop; in that shell's place.
  std::unique_ptr<Program> started(const std::string& command) const {
    return std::make_unique<Program>("sh",
                                     std::vector<std::string>{"-c", line_of("exec " + command)});
  }

  Json ask(const std::string& command) const {
    const Outcome told = shell(command + " --json");
    REQUIRE_MESSAGE(told.code == 0, command, ": ", told.printed);
    return parse_json(told.printed.substr(0, told.printed.find('\n')));
  }

  // What systemctl does with the units: the sockets that they bring are addresses of loopback here.
  void start() {
    server_ = started(
        "gatehouse serve --config /etc/gatehouse/gatehouse.json --set resolver.dnssec=off "
        R"(--set 'listeners={"acme":[{"address":"127.0.0.1","port":)" +
        port_ + R"(,"tls":"off"},{"address":"127.0.0.1","port":)" + free_port() +
        R"(}],"public":[{"address":"127.0.0.1","port":)" + public_port_ +
        R"(}],"operations":[]}')");
    REQUIRE_MESSAGE(server_->prints("server.ready"), server_->printed());
  }

  void stop() {
    server_->signal(SIGTERM);
    CHECK_MESSAGE(server_->wait() == 0, server_->printed());
  }

  AcmeClient client(const TestKey& key = TestKey::generate(TestKey::Kind::p256)) const {
    return {SocketSender(listener(port_)), kBaseUrl, key};
  }

  // The octets of the CRL in force, as `curl -O` would have them.
  std::string crl() const {
    const std::string url = ask("gatehouse status").at("issuers")[0].at("crls")[0].at("url");
    const std::string path = url.substr(url.find('/', url.find("//") + 2));
    const Answer answer =
        Client::to(listener(public_port_)).ask("GET " + path + " HTTP/1.1\r\nHost: x\r\n\r\n");
    REQUIRE(answer.status == 200);
    return answer.body;
  }

 private:
  static constexpr const char* kPlaces[] = {"/etc/gatehouse",         "/var/lib/gatehouse",
                                            "/var/backups/gatehouse", "/srv",
                                            "/media/offline",         "/run/gatehouse"};

  static http::ListenerAddress listener(const std::string& port) {
    return {.listener = "acme",
            .address = "127.0.0.1",
            .port = static_cast<std::uint16_t>(std::stoi(port)),
            .unix_path = ""};
  }

  std::string line_of(const std::string& command) const {
    static const std::regex kAbsolute("(^|[ ='\"])/(etc|var|srv|media|run)/");
    return "cd " + at("/etc/gatehouse") + " && PATH=" + at("/bin") + ":$PATH && " +
           std::regex_replace(command, kAbsolute, "$1" + at("/$2/"));
  }

  TemporaryFolder folder_;
  std::string port_ = free_port(), public_port_ = free_port();
  std::unique_ptr<Program> server_;
};

// Who reads the document from its beginning to its end, and does what it says.
class Operator final {
 public:
  void perform(const Command& command) {
    CAPTURE(command.line);
    CAPTURE(command.text);
    Machine& machine = kUnderCompany.contains(command.section) ? company_ : own_;
    std::string text = command.text;
    if (text.starts_with("apt install ./gatehouse_")) {
      // Wants a system of its own: `make check-package` has one.
      const std::string check = read_file(source_directory() + "/packaging/check-package.sh");
      CHECK(check.find("install /root/gatehouse.deb") != std::string::npos);
      return;
    }
    if (text == "systemctl start gatehouse") return machine.start();
    if (text == "systemctl stop gatehouse") return machine.stop();
    // The user is made by the package; here it is whoever runs the tests.
    constexpr std::string_view kAsServer = "runuser -u gatehouse -- ";
    if (text.starts_with(kAsServer)) text.erase(0, kAsServer.size());
    REQUIRE_MESSAGE(text.starts_with("gatehouse "), "nobody runs this command");
    if (text.starts_with("gatehouse signer ")) return hold_key(text);
    prepare(text);
    const Outcome outcome = machine.shell(filled_in(text));
    CAPTURE(outcome.printed);
    if (text == "gatehouse order resume ID") {
      CHECK(outcome.code == 1);
      CHECK(outcome.printed.find("is not parked") != std::string::npos);
    } else {
      CHECK(outcome.code == 0);
    }
  }

  // Who has an account from before the move signs what they always did.
  void check_move() {
    REQUIRE(stranger_.has_value());
    AcmeClient client = own_.client(stranger_->key);
    client.kid = stranger_->kid;
    const std::string directory = std::string(kBaseUrl) + "/acme/default";
    CHECK(client.call("HEAD", directory + "/new-nonce").status == 200);
    const Reply order =
        client.post(directory + "/new-order",
                    {{"identifiers", AcmeClient::identifiers({"moved.corp.example"})}});
    CHECK_MESSAGE(order.status == 201, order.body);
    CHECK(order.header("Location").starts_with("https://pki.corp.example/"));
  }

  // What the document supposes and no command of it was for.
  std::vector<std::string> unused() const {
    std::vector<std::string> left;
    for (const auto& [begin, prepare] : preparations_) {
      if (!used_.contains(begin)) left.push_back(begin);
    }
    return left;
  }

 private:
  void prepare(std::string& text) {
    for (const auto& [begin, prepare] : preparations_) {
      if (!text.starts_with(begin)) continue;
      used_.insert(begin);
      prepare(text);
    }
  }

  // ID, SERIAL and the line kept from `audit verify`, of what is there.
  std::string filled_in(std::string text) const {
    const auto fill = [&](const std::string& word, const auto& value) {
      const std::size_t at = text.find(word);
      if (at != std::string::npos) text.replace(at, word.size(), value());
    };
    const bool account = text.starts_with("gatehouse account");
    fill(" ID", [&] {
      return " " + own_.ask(account ? "gatehouse account list" : "gatehouse order list")
                       .at("id")
                       .get<std::string>();
    });
    fill("SERIAL",
         [&] { return own_.ask("gatehouse certificate list").at("serial").get<std::string>(); });
    fill("48211:9f86d081884c7d65…",
         [&] { return std::string(trim(own_.shell("gatehouse audit verify").printed)); });
    fill("48211", [&] {
      const std::string log = read_file(own_.at("/etc/gatehouse/audit.jsonl"));
      const std::string last = log.substr(log.rfind('\n', log.size() - 2) + 1);
      return parse_json(last).at("sequence").dump();
    });
    return text;
  }

  void give(const std::string& name, const std::string& file) const {
    fs::copy_file(file, company_.at("/etc/gatehouse/" + name),
                  fs::copy_options::overwrite_existing);
  }

  std::string request(const std::string& name) const {
    return company_.at("/etc/gatehouse/ca/" + name);
  }

  void hold_key(const std::string& text) {
    const auto signer = company_.started(text + " --set 'backends.local.signer={\"socket\":\"" +
                                         company_.at("/run/gatehouse/signer.sock") + "\"}'");
    CHECK_MESSAGE(signer->prints("signer.ready"), signer->printed());
    signer->signal(SIGTERM);
    signer->wait();
  }

  const std::set<std::string> kUnderCompany = {"Take over a root", "Add an alternate chain",
                                               "Rotate the issuing CA",
                                               "The key in a process of its own"};
  Machine own_, company_;
  CompanyCa root_;
  CompanyCa other_{"Other Root"};
  std::set<std::string> used_;
  const std::vector<std::pair<std::string, std::function<void(std::string&)>>> preparations_ = {
      {"gatehouse order list",
       [this](std::string&) {
         AcmeClient client = own_.client();
         CHECK(client.new_account().status == 201);
         client.new_order({"www.corp.example"});
       }},
      {"gatehouse init --import issuer.p7b",
       [this](std::string&) {
         give("issuer.p7b", root_.bag({root_.sign(request("issuer.csr"), "issuer",
                                                  CompanyCa::kIntermediate, "root", 400)},
                                      "issuer.p7b"));
         give("corp-root.cer", root_.der(root_.root(), "root.cer"));
       }},
      {"gatehouse init --import issuer-renewed.p7b",
       [this](std::string&) {
         give("issuer-renewed.p7b",
              root_.bag({root_.sign(request("issuer.csr"), "renewed")}, "renewed.p7b"));
       }},
      {"gatehouse init --import crossed.pem",
       [this](std::string&) {
         give("crossed.pem", other_.sign(request("issuer.csr"), "crossed"));
         give("other-root.pem", other_.root());
       }},
      // The issuers of this test are not a day old.
      {"gatehouse rotate-issuer --config /etc/gatehouse/gatehouse.json --csr",
       [](std::string& text) { text += " --again"; }},
      {"gatehouse rotate-issuer --config /etc/gatehouse/gatehouse.json --import",
       [this](std::string&) {
         give("issuer-2.p7b",
              root_.bag({root_.sign(request("issuer-2.csr"), "next")}, "issuer-2.p7b"));
       }},
      {"gatehouse rotate-issuer --config /srv/gatehouse/gatehouse.json",
       [this](std::string& text) {
         CHECK(company_
                   .shell(std::string("gatehouse init --directory /srv/gatehouse --base-url ") +
                          kBaseUrl)
                   .code == 0);
         fs::rename(company_.at("/srv/gatehouse/ca/root.key"),
                    company_.at("/media/offline/root.key"));
         text += " --again";
       }},
      {"gatehouse restore monday.db",
       [this](std::string&) {
         const std::string here = own_.at("/etc/gatehouse/");
         fs::copy_file(own_.at("/var/backups/gatehouse/monday.db"), here + "monday.db");
         write_file(here + "latest.crl", crl_, FileAccess::owner_only, ExistingFile::refuse);
       }},
      {"gatehouse check-config -c",
       [this](std::string&) {
         const std::string file = own_.at("/etc/gatehouse/gatehouse.json");
         Json config = parse_json(read_file(file), {.comments = true});
         config["public_url"] = "http://acme.corp.example";
         config["base_url"] = "https://pki.corp.example";
         config["allowed_hosts"] = {"acme.corp.example"};
         config["previous_account_urls"] = {"https://acme.corp.example/acme/default/account/"};
         config["caa_identities"] = {"acme.corp.example", "pki.corp.example"};
         write_file(file, print_json(config), FileAccess::owner_only, ExistingFile::replace);
       }},
      {"gatehouse backup",
       [this](std::string&) {
         crl_ = own_.crl();
         AcmeClient client = own_.client();
         CHECK(client.new_account().status == 201);
         stranger_ = Stranger{.kid = client.kid, .key = client.key};
       }},
  };
  std::string crl_;

  // Somebody who has an account from before the move, and knows nothing of it.
  struct Stranger {
    std::string kid;
    TestKey key;
  };

  std::optional<Stranger> stranger_;
};

TEST_CASE("every command of docs/operations.md does what it should") {
  const std::vector<Command> commands = read_document();
  REQUIRE(commands.size() > 30);
  Operator reader;
  for (const Command& command : commands) reader.perform(command);
  reader.check_move();
  for (const std::string& begin : reader.unused())
    FAIL_CHECK("the document has no `", begin, "` any more");
}

}  // namespace
}  // namespace gatehouse::testing
