#include "acme-server/base/files.h"

#include <doctest/doctest.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <stdexcept>
#include <string>

using namespace gatehouse;
namespace fs = std::filesystem;

namespace {

struct Folder {
  Folder() {
    std::string pattern = (fs::temp_directory_path() / "gatehouse-files-XXXXXX").string();
    REQUIRE(::mkdtemp(pattern.data()) != nullptr);
    path = pattern;
  }

  ~Folder() { fs::remove_all(path); }

  std::string operator/(const std::string& name) const { return path + "/" + name; }

  std::string path;
};

unsigned mode_of(const std::string& path) {
  struct stat found = {};
  REQUIRE(::stat(path.c_str(), &found) == 0);
  return found.st_mode & 0777U;
}

}  // namespace

TEST_CASE("reading fails with the path for what is missing, too large or no file") {
  const Folder folder;
  CHECK_THROWS_WITH_AS(read_file(folder / "none"), doctest::Contains("none: cannot be opened"),
                       std::runtime_error);
  CHECK_THROWS_WITH_AS(read_file(folder.path), doctest::Contains(folder.path.c_str()),
                       std::runtime_error);
  write_file(folder / "a", "12345", FileAccess::owner_only, ExistingFile::refuse);
  CHECK(read_file(folder / "a", 5) == "12345");
  CHECK_THROWS_WITH_AS(read_file(folder / "a", 4), doctest::Contains("larger than 4 bytes"),
                       std::runtime_error);
}

TEST_CASE("a file that is there is refused or replaced whole, and nothing is left beside it") {
  const Folder folder;
  write_file(folder / "a", "first", FileAccess::owner_only, ExistingFile::refuse);
  CHECK_THROWS_WITH_AS(
      write_file(folder / "a", "second", FileAccess::owner_only, ExistingFile::refuse),
      doctest::Contains("cannot be created"), std::runtime_error);
  CHECK(read_file(folder / "a") == "first");
  write_file(folder / "a", "second", FileAccess::everyone_reads, ExistingFile::replace);
  CHECK(read_file(folder / "a") == "second");
  CHECK(std::distance(fs::directory_iterator(folder.path), fs::directory_iterator()) == 1);
}

TEST_CASE("writing into a folder that is not there fails with the path") {
  const Folder folder;
  CHECK_THROWS_WITH_AS(
      write_file(folder / "none/a", "x", FileAccess::owner_only, ExistingFile::replace),
      doctest::Contains("none/a"), std::runtime_error);
}

TEST_CASE("modes are as asked for, whatever the umask") {
  const Folder folder;
  const mode_t before = ::umask(0);
  write_file(folder / "key", "x", FileAccess::owner_only, ExistingFile::refuse);
  make_private_folder(folder / "a/b");
  ::umask(0777);
  write_file(folder / "pem", "x", FileAccess::everyone_reads, ExistingFile::refuse);
  ::umask(before);
  CHECK(mode_of(folder / "key") == 0600);
  CHECK(mode_of(folder / "pem") == 0644);
  CHECK(mode_of(folder / "a") == 0700);
  CHECK(mode_of(folder / "a/b") == 0700);
}

TEST_CASE("a private folder is closed to others, or refused") {
  const Folder folder;
  make_private_folder(folder / "keys");
  CHECK_NOTHROW(make_private_folder(folder / "keys"));
  ::chmod((folder / "keys").c_str(), 0750);
  CHECK_THROWS_WITH_AS(make_private_folder(folder / "keys"), doctest::Contains("chmod 700"),
                       std::runtime_error);
  write_file(folder / "file", "x", FileAccess::owner_only, ExistingFile::refuse);
  CHECK_THROWS_WITH_AS(make_private_folder(folder / "file"), doctest::Contains("is not a folder"),
                       std::runtime_error);
}
