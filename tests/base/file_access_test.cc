#include "acme-server/base/file_access.h"

#include <doctest/doctest.h>
#include <sys/stat.h>

#include <filesystem>
#include <string>

#include "acme-server/base/files.h"
#include "tests/support/temporary_folder.h"

namespace gatehouse {
namespace {

struct Folder {
  std::string operator/(const std::string& name) const { return path + "/" + name; }

  testing::TemporaryFolder made;
  std::string path = made.path();
};

void put(const std::string& path) {
  write_file(path, "x", FileAccess::owner_only, ExistingFile::refuse);
}

TEST_CASE("a key file that others can reach is a problem") {
  const Folder folder;
  const std::string key = folder / "key";
  CHECK(key_file_problem(key).value().find("cannot be looked at") != std::string::npos);
  CHECK(key_file_problem(folder.path).value().find("is not a file") != std::string::npos);
  write_file(key, "x", FileAccess::owner_only, ExistingFile::refuse);
  CHECK_FALSE(key_file_problem(key));
  for (const mode_t mode : {0640U, 0604U, 0620U, 0602U, 0644U, 0666U}) {
    CAPTURE(mode);
    ::chmod(key.c_str(), mode);
    CHECK(key_file_problem(key).value().find("chmod 600 " + key) != std::string::npos);
  }
  ::chmod(key.c_str(), 0400);
  CHECK_FALSE(key_file_problem(key));
}

TEST_CASE("a key, a secret or a database in a folder that others can write is a problem") {
  const Folder folder;
  std::filesystem::create_directories(folder / "above/ca");
  const std::string file = folder / "above/ca/file";
  put(file);

  struct Row {
    const char* place;
    mode_t mode;
    bool key_is_safe, database_is_safe;
  };

  const Row rows[] = {
      {"above/ca", 0755, true, true},   {"above/ca", 0775, false, false},
      {"above/ca", 0757, false, false}, {"above/ca", 01777, true, false},
      {"above", 0777, false, false},    {"above", 01777, true, true},
  };
  for (const Row& row : rows) {
    CAPTURE(row.place);
    CAPTURE(row.mode);
    const std::string place = folder / row.place;
    ::chmod((folder / "above").c_str(), 0755);
    ::chmod((folder / "above/ca").c_str(), 0755);
    ::chmod(place.c_str(), row.mode);
    const auto key = key_file_problem(file);
    const auto database = database_file_problem(file);
    CHECK(!key == row.key_is_safe);
    CHECK(!database == row.database_is_safe);
    for (const auto& problem : {key, database}) {
      if (problem) CHECK(problem->find("run: chmod go-w " + place) != std::string::npos);
    }
  }
}

TEST_CASE("a link in a folder that others can write leads nowhere safe") {
  const Folder folder;
  std::filesystem::create_directories(folder / "open");
  put(folder / "key");
  std::filesystem::create_symlink(folder / "key", folder / "open/key");
  CHECK_FALSE(key_file_problem(folder / "open/key"));
  ::chmod((folder / "open").c_str(), 0777);
  CHECK(key_file_problem(folder / "open/key"));
  CHECK_FALSE(key_file_problem(folder / "key"));

  std::filesystem::create_directories(folder / "closed");
  put(folder / "open/other");
  std::filesystem::create_symlink(folder / "open/other", folder / "closed/other");
  CHECK(key_file_problem(folder / "closed/other"));
}

TEST_CASE("a database is not others' to write, nor is its log; reading is the operator's affair") {
  const Folder folder;
  const std::string database = folder / "x.db";
  CHECK_FALSE(database_file_problem(database));  // it is not there yet
  for (const char* end : {"", "-wal", "-shm"}) {
    const std::string file = database + end;
    put(file);
    for (const mode_t mode : {0660U, 0606U, 0666U}) {
      CAPTURE(file);
      CAPTURE(mode);
      ::chmod(file.c_str(), mode);
      CHECK(database_file_problem(database).value().find("chmod go-w " + file) !=
            std::string::npos);
    }
    ::chmod(file.c_str(), 0644);
    CHECK_FALSE(database_file_problem(database));
  }
}

}  // namespace
}  // namespace gatehouse
