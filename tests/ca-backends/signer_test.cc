// The signer and its client over a real socket, the signer in a process of its own that is killed.
#include <doctest/doctest.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <functional>
#include <string>
#include <thread>
#include <utility>
#include <variant>
#include <vector>

#include "acme-server/base/files.h"
#include "acme-server/crypto/issue.h"
#include "acme-server/net/unix_stream.h"
#include "ca-backends/local_ca/local_ca_options.h"
#include "ca-backends/signer/protocol.h"
#include "ca-backends/signer/signer_service.h"
#include "ca-backends/signer/socket_signer.h"
#include "tests/support/local_ca_files.h"
#include "tests/support/test_database.h"

namespace gatehouse::backends {
namespace {

using crypto::Certificate;
using std::chrono::hours;
using std::chrono::seconds;
using testing::CaFile;
using testing::kNoon;
using testing::LocalCaFiles;
using testing::ManualClock;

SignerService service_of(const CaFile& ca) {
  std::vector<SignerService::Key> keys;
  keys.push_back(
      {.issuer = ca.certificate, .signer = crypto::load_signer(Secret(ca.key_pem), Secret())});
  return SignerService(std::move(keys));
}

// A child of this process that serves `service` at `path` until it is killed.
class SignerChild final {
 public:
  SignerChild(std::string path, const SignerService& service)
      : path_(std::move(path)), service_(service) {
    prepare();
  }

  ~SignerChild() {
    if (pid_ > 0) kill();
  }

  SignerChild(const SignerChild&) = delete;
  SignerChild& operator=(const SignerChild&) = delete;

  // Makes the process, which waits for start(): while this one has no other threads.
  void prepare() {
    int ends[2];
    REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
    pid_ = ::fork();
    REQUIRE(pid_ >= 0);
    if (pid_ == 0) serve(ends[1]);
    ::close(ends[1]);
    control_ = ends[0];
  }

  // Returns when it listens.
  void start() {
    char octet = 'g';
    REQUIRE(::write(control_, &octet, 1) == 1);
    REQUIRE(::read(control_, &octet, 1) == 1);
    ::close(std::exchange(control_, -1));
  }

  void kill() {
    if (control_ >= 0) ::close(std::exchange(control_, -1));
    if (pid_ <= 0) return;  // kill(-1) is for everyone
    ::kill(pid_, SIGKILL);
    ::waitpid(std::exchange(pid_, -1), nullptr, 0);
  }

 private:
  [[noreturn]] void serve(int control) {
    char go = 0;
    if (::read(control, &go, 1) != 1) ::_exit(0);
    const net::UnixListener listener(path_);
    (void)!::write(control, "r", 1);
    ::close(control);
    for (;;) {
      std::thread([this, stream = listener.accept()] {
        try {
          service_.serve(stream);
        } catch (const net::UnixStreamError&) {
        }
      }).detach();
    }
  }

  std::string path_;
  const SignerService& service_;
  pid_t pid_ = -1;
  int control_ = -1;
};

struct Fixture {
  // A backend whose key is behind the socket, and not in its files.
  Backend backend() {
    files.files.erase("issuer.key");
    Json options = {{"type", "local"},
                    {"certificate", "issuer.pem"},
                    {"signer", {{"socket", socket}}},
                    {"root", "root.pem"}};
    BackendContext context = files.context();
    context.config_folder = "/not/used/by/an/absolute/path";
    return make_backend("local", JsonObject(options, "backends.local"), context);
  }

  IssueRequest request() const {
    return {
        .order = OrderId("order"),
        .identifiers = {{IdentifierType::dns, "a.test"}},
        .csr_der = {},
        .spki = crypto::load_signer(crypto::generate_private_key(crypto::NewKey::p256), Secret())
                    ->public_key(),
        .profile = {},
        .not_before = std::nullopt,
        .not_after = std::nullopt,
        .now = kNoon};
  }

  ManualClock clock;
  LocalCaFiles files{clock};
  testing::TemporaryFolder folder;
  std::string socket = folder.path() + "/signer.sock";
  SignerService service = service_of(files.issuer);
};

Certificate issue(Backend& backend, const Intent& intent) {
  const auto issued =
      std::get<Issued>(backend.certificates->resume(intent, Deadline::in(seconds(10))));
  return crypto::parse_pem_chain(issued.chain_pem).value().front();
}

}  // namespace

TEST_CASE("leaves and CRLs are signed over the socket, and the same again after a kill") {
  Fixture f;
  Backend backend = f.backend();  // before its signer
  const Intent intent = backend.certificates->prepare(f.request());
  SignerChild child(f.socket, f.service);
  child.start();
  CHECK_FALSE(backend.certificates->why_not_ready());
  const Certificate leaf = issue(backend, intent);
  CHECK(crypto::is_signed_by(leaf, f.files.issuer.certificate));
  for (int round = 0; round < 3; ++round) {
    child.kill();
    CHECK(backend.certificates->why_not_ready());
    child.prepare();
    child.start();
    CHECK(issue(backend, intent).tbs == leaf.tbs);
    CHECK_FALSE(backend.certificates->why_not_ready());
  }
  crypto::CrlBuilder builder;
  builder.add({.serial = leaf.serial, .revoked_at = kNoon, .reason = 1});
  const auto shard = backend.certificates->issuers()->shards.front();
  const Bytes crl = backend.crls->sign_crl(shard, 7, kNoon, kNoon + hours(1), std::move(builder));
  CHECK(crypto::crl_is_signed_by(crl, f.files.issuer.certificate));
  child.kill();
  CHECK_THROWS_WITH_AS(issue(backend, intent), doctest::Contains("is out of reach"),
                       std::runtime_error);
}

TEST_CASE("many threads share a signer that is killed meanwhile") {
  Fixture f;
  SignerChild child(f.socket, f.service);
  SignerChild next(f.socket, f.service);
  child.start();
  Backend backend = f.backend();
  std::atomic<int> done{0};
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < 8; ++i) {
      const Intent intent = backend.certificates->prepare(f.request());
      threads.emplace_back([&, intent] {
        for (int round = 0; round < 10; ++round) {
          if (issue(backend, intent).serial == serial_of(intent.expected)) ++done;
        }
      });
    }
    child.kill();
    next.start();
  }
  CHECK(done == 80);
}

TEST_CASE("a signer with another key than the certificate's is not used") {
  Fixture f;
  const CaFile other = f.files.make("Other CA", &f.files.root);
  const SignerService service = service_of(other);
  SignerChild child(f.socket, service);
  child.start();
  Backend backend = f.backend();
  CHECK_THROWS_AS(issue(backend, backend.certificates->prepare(f.request())), std::runtime_error);
  REQUIRE(backend.certificates->why_not_ready());
}

TEST_CASE("the signer signs leaves and CRLs of its issuer, and nothing else") {
  Fixture f;
  const CaFile& issuer = f.files.issuer;
  const KeyId key = crypto::sha256(ByteView(issuer.certificate.spki));
  const auto why_not = [&](SignerOperation operation, ByteView tbs) {
    Bytes message = signer_request_head(operation, key, tbs.size());
    message.insert(message.end(), tbs.begin(), tbs.end());
    const auto answer = f.service.answer(ByteView(message).subspan(4));
    return answer.done ? std::string() : std::string(as_text(answer.content));
  };
  using Change = std::function<void(crypto::CertificateTemplate&)>;
  const auto tbs_under = [&](const Bytes& algorithm, const Change& change) {
    crypto::CertificateTemplate leaf;
    leaf.serial = crypto::random_serial(f.files.entropy);
    leaf.issuer_name_der = issuer.certificate.subject_name_der;
    leaf.not_before = kNoon;
    leaf.not_after = kNoon + hours(24);
    leaf.spki = f.request().spki;
    leaf.dns_names = {"a.test"};
    leaf.key_usages = {"digitalSignature"};
    leaf.authority_key_id = issuer.certificate.subject_key_id;
    change(leaf);
    return crypto::make_tbs(leaf, algorithm);
  };
  const auto tbs_with = [&](const Change& change) {
    return tbs_under(issuer.key->algorithm(), change);
  };
  const Bytes good = tbs_with([](auto&) {});
  CHECK(why_not(SignerOperation::sign_certificate, good).empty());

  struct Row {
    std::string says;
    std::function<void(crypto::CertificateTemplate&)> change;
  };

  const Row rows[] = {
      {"it is a CA", [](auto& leaf) { leaf.is_ca = true; }},
      {"could sign", [](auto& leaf) { leaf.key_usages = {"keyCertSign"}; }},
      {"could sign", [](auto& leaf) { leaf.key_usages = {"digitalSignature", "cRLSign"}; }},
      {"another issuer",
       [&](auto& leaf) { leaf.issuer_name_der = f.files.root.certificate.subject_name_der; }},
      {"another issuer's key",
       [&](auto& leaf) { leaf.authority_key_id = f.files.root.certificate.subject_key_id; }},
      {"key is the issuer's", [&](auto& leaf) { leaf.spki = issuer.certificate.spki; }},
      {"name is the issuer's", [](auto& leaf) { leaf.common_name = "Test Issuing CA"; }},
      {"outside the issuer's",
       [&](auto& leaf) { leaf.not_after = issuer.certificate.not_after + seconds(1); }},
      {"outside the issuer's",
       [&](auto& leaf) { leaf.not_before = issuer.certificate.not_before - seconds(1); }},
      {"ends before", [](auto& leaf) { leaf.not_after = leaf.not_before; }},
  };
  for (const Row& row : rows) {
    CAPTURE(row.says);
    const std::string why = why_not(SignerOperation::sign_certificate, tbs_with(row.change));
    CHECK_MESSAGE(why.find(row.says) != std::string::npos, why);
  }

  // Not a TBSCertificate at all, cut short, twice, or as the other operation.
  const Bytes rsa =
      tbs_under(crypto::load_signer(crypto::generate_private_key(crypto::NewKey::rsa2048), Secret())
                    ->algorithm(),
                [](auto&) {});
  Bytes twice = good;
  twice.insert(twice.end(), good.begin(), good.end());
  const Bytes junk = {'a', ' ', 'd', 'i', 'g', 'e', 's', 't'};
  for (const Bytes& bad : {Bytes(), junk, twice, rsa, Bytes(good.begin(), good.end() - 1)}) {
    CHECK_FALSE(why_not(SignerOperation::sign_certificate, bad).empty());
    CHECK_FALSE(why_not(SignerOperation::sign_crl, bad).empty());
  }
  CHECK_FALSE(why_not(SignerOperation::sign_crl, good).empty());
  CHECK_FALSE(why_not(SignerOperation{9}, good).empty());
  CHECK_FALSE(why_not(SignerOperation::public_key, good).empty());
}

TEST_CASE("a CRL under another name, or without number or time, is not signed") {
  Fixture f;
  const CaFile& issuer = f.files.issuer;
  const KeyId key = crypto::sha256(ByteView(issuer.certificate.spki));
  const auto why_not = [&](const std::function<void(crypto::CrlHead&)>& change) {
    crypto::CrlHead head{.issuer_name_der = issuer.certificate.subject_name_der,
                         .authority_key_id = issuer.certificate.subject_key_id,
                         .number = 1,
                         .this_update = kNoon,
                         .next_update = kNoon + hours(1),
                         .distribution_point = "http://pki.test/0.crl"};
    change(head);
    crypto::CrlBuilder builder;
    builder.add({.serial = "01", .revoked_at = kNoon, .reason = 1});
    // The TBS is what a signer is handed.
    class Taker final : public crypto::Signer {
     public:
      explicit Taker(crypto::Signer& inner) : inner_(inner) {}
      Bytes public_key() const override { return inner_.public_key(); }
      Bytes algorithm() const override { return inner_.algorithm(); }
      Bytes sign(ByteView message) override {
        taken.assign(message.begin(), message.end());
        return inner_.sign(message);
      }
      Bytes taken;

     private:
      crypto::Signer& inner_;
    } taker(*issuer.key);
    (void)builder.finish(head, taker);
    Bytes message = signer_request_head(SignerOperation::sign_crl, key, taker.taken.size());
    message.insert(message.end(), taker.taken.begin(), taker.taken.end());
    const auto answer = f.service.answer(ByteView(message).subspan(4));
    return answer.done ? std::string() : std::string(as_text(answer.content));
  };
  CHECK(why_not([](auto&) {}).empty());
  CHECK(why_not([&](auto& head) {
          head.issuer_name_der = f.files.root.certificate.subject_name_der;
        }).find("another issuer") != std::string::npos);
  CHECK(why_not([&](auto& head) {
          head.authority_key_id = f.files.root.certificate.subject_key_id;
        }).find("another issuer's key") != std::string::npos);
}

TEST_CASE("what is no message of the protocol ends the connection, and the signer goes on") {
  Fixture f;
  SignerChild child(f.socket, f.service);
  child.start();
  const auto send = [&](const Bytes& octets) {
    const net::UnixStream stream = net::UnixStream::connect(f.socket);
    stream.write(octets, Deadline::in(seconds(5)));
    return read_message(stream, 1000, Deadline::in(seconds(5)));
  };
  CHECK_THROWS_AS(send({0xff, 0xff, 0xff, 0xff}), net::UnixStreamError);
  CHECK_THROWS_AS(send({0x08, 0x00, 0x00, 0x01}), net::UnixStreamError);
  CHECK(send({0, 0, 0, 0}).front() == 1);
  CHECK(send({0, 0, 0, 1, 1}).front() == 1);
  Bytes unknown_key = signer_request_head(SignerOperation::public_key, {}, 0);
  CHECK(send(unknown_key).front() == 1);
  Backend backend = f.backend();
  CHECK_FALSE(backend.certificates->why_not_ready());
}

TEST_CASE("a socket is taken over from the dead, and from nobody else") {
  testing::TemporaryFolder folder;
  const std::string path = folder.path() + "/s";
  {
    const net::UnixListener first(path);
    struct stat found{};
    REQUIRE(::stat(path.c_str(), &found) == 0);
    CHECK((found.st_mode & 0777) == 0600);
    CHECK_THROWS_AS(net::UnixListener{path}, net::UnixStreamError);
  }
  CHECK_THROWS_AS(net::UnixStream::connect(path), net::UnixStreamError);
  write_file(path, "precious", FileAccess::owner_only, ExistingFile::refuse);
  CHECK_THROWS_AS(net::UnixListener{path}, net::UnixStreamError);
  CHECK(read_file(path) == "precious");
  CHECK_THROWS_AS(net::UnixListener{folder.path() + "/" + std::string(200, 'x')},
                  net::UnixStreamError);
}

}  // namespace gatehouse::backends
