"""A few lines in, their mutants out; and that the table names files and tests that exist."""
import os
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import mutator  # noqa: E402
import run  # noqa: E402
from table import TABLE  # noqa: E402

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def of(line):
    return [(mutant.rule, mutant.after) for mutant in mutator.mutants_of(line)]


class Rules(unittest.TestCase):
    def test_a_condition_is_negated_and_dropped(self):
        self.assertEqual(of("  if (ready) {"),
                         [("negated", "  if (!(ready)) {"), ("dropped", "  if ((ready) && false) {")])

    def test_a_condition_that_declares_is_dropped_and_still_declares(self):
        self.assertEqual(of("  if (const auto why = why_stale(a, b)) {"),
                         [("dropped", "  if (const auto why = why_stale(a, b); false) {")])
        self.assertEqual(of("  if (const std::optional<Problem> problem = f()) {"),
                         [("dropped", "  if (const std::optional<Problem> problem = f(); false) {")])

    def test_an_init_statement_stays(self):
        self.assertEqual(of("  if (auto due = f(); !due.empty()) {")[0],
                         ("negated", "  if (auto due = f(); !(!due.empty())) {"))

    def test_comparisons_are_turned_and_bounds_are_off_by_one(self):
        self.assertEqual(of("  return now - at <= kAge;"),
                         [("turned", "  return now - at > kAge;"), ("off by one", "  return now - at < kAge;")])
        self.assertEqual(of("  return a == b;"), [("turned", "  return a != b;")])

    def test_connectives_are_swapped_one_at_a_time(self):
        self.assertEqual(of("  return a && b || c;"),
                         [("swapped", "  return a || b || c;"), ("swapped", "  return a && b && c;")])
        self.assertEqual(of("  return a &&"), [("swapped", "  return a ||")])

    def test_the_call_of_a_check_is_left_out(self):
        self.assertEqual(of("  check_ready(*before);"), [("left out", "  if (false) check_ready(*before);")])
        self.assertEqual(of("  context_.gate.check_can_begin();"),
                         [("left out", "  if (false) context_.gate.check_can_begin();")])
        self.assertEqual(of("  show(x);"), [])

    def test_what_decides_nothing_is_left_alone(self):
        for line in ["// if (a == b)", '  log("a < b && c");', "  std::vector<int> all;", "  for (int i = 0; i < n; ++i) {",
                     "#if defined(A) && B", "  ACME_CHECK(a == b);", "  out << a;", "  char c = '\"'; // a == b"]:
            self.assertEqual(of(line), [], line)

    def test_a_condition_of_sql_is_widened(self):
        self.assertEqual(of('  "AND account_id = $4 AND error IS NULL AND expires_at > $5",'),
                         [("widened", '  "AND (account_id = $4 OR 1 = 1) AND error IS NULL AND expires_at > $5",'),
                          ("widened", '  "AND account_id = $4 AND expires_at > $5",'),
                          ("off by one", '  "AND account_id = $4 AND error IS NULL AND expires_at >= $5",')])

    def test_a_mutant_is_put_where_it_belongs(self):
        text = "a;\nreturn x == y;\nb;\n"
        (mutant,) = mutator.mutants_of(text)
        self.assertEqual((mutant.line, mutator.applied(text, mutant)), (2, "a;\nreturn x != y;\nb;\n"))


class Draw(unittest.TestCase):
    def test_the_same_seed_draws_the_same_mutants_and_another_others(self):
        candidates = list(range(500))
        self.assertEqual(run.drawn(candidates, 7), run.drawn(candidates, 7))
        self.assertNotEqual(run.drawn(candidates, 7), run.drawn(candidates, 8))
        self.assertEqual(sorted(run.drawn(candidates, 7)), candidates)

    def test_the_table_names_what_there_is(self):
        for path, tests in TABLE.items():
            self.assertTrue(os.path.isfile(os.path.join(ROOT, path)), path)
            for test in tests:
                self.assertTrue(os.path.isdir(os.path.join(ROOT, "tests", test)), test)


if __name__ == "__main__":
    unittest.main()
