//! Who answered how often.

use std::collections::BTreeMap;
use std::io::{self, Write};

use super::{Align, Colour, Table, Terminal};

/// The width of the bar of a pod that gave every answer.
const BAR: u64 = 40;

/// Counts of answers by pod, and of failures by reason.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    answers: BTreeMap<String, u64>,
    failures: BTreeMap<String, u64>,
}

impl Summary {
    /// Nothing counted yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// One answer from this pod.
    pub fn answered(&mut self, pod: &str) {
        *self.answers.entry(pod.to_owned()).or_default() += 1;
    }

    /// One call without an answer.
    pub fn failed(&mut self, reason: &str) {
        *self.failures.entry(reason.to_owned()).or_default() += 1;
    }

    /// How many answers came from this pod.
    pub fn answers_of(&self, pod: &str) -> u64 {
        self.answers.get(pod).copied().unwrap_or(0)
    }

    /// How many answers came at all.
    pub fn answers(&self) -> u64 {
        self.answers.values().sum()
    }

    /// How many calls failed.
    pub fn failures(&self) -> u64 {
        self.failures.values().sum()
    }

    /// Prints a row for each pod, with its share of the answers, then the failures.
    ///
    /// # Errors
    /// Those of the output.
    pub fn print<W: Write>(&self, terminal: &mut Terminal<W>) -> io::Result<()> {
        let total = self.answers();
        let columns = [("pod", Align::Left), ("answers", Align::Right), ("share", Align::Right), ("", Align::Left)];
        let mut table = Table::new(columns);
        for (pod, count) in &self.answers {
            // A pod is only listed once it answered, so the total is not zero.
            let share = |of: u64| count.saturating_mul(of).saturating_add(total / 2) / total.max(1);
            let bar = "#".repeat(usize::try_from(share(BAR)).unwrap_or(0));
            table.row([pod.clone(), count.to_string(), format!("{} %", share(100)), bar]);
        }
        terminal.table(&table)?;
        let failures = match self.failures() {
            0 => terminal.paint(Colour::Green, "no call failed"),
            1 => terminal.paint(Colour::Red, "1 call failed"),
            failed => terminal.paint(Colour::Red, &format!("{failed} calls failed")),
        };
        terminal.line(&format!("{} calls, {failures}", total + self.failures()))?;
        for (reason, count) in &self.failures {
            terminal.line(&format!("  {count} x {reason}"))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn printed(summary: &Summary) -> String {
        let mut terminal = Terminal::plain(Vec::new());
        summary.print(&mut terminal).unwrap();
        String::from_utf8(terminal.into_inner()).unwrap()
    }

    #[test]
    fn a_row_for_each_pod_and_a_line_for_each_reason() {
        let mut summary = Summary::new();
        for _ in 0..3 {
            summary.answered("pod-2");
        }
        summary.answered("pod-1");
        summary.failed("grpc-status 14");
        assert_eq!((summary.answers(), summary.answers_of("pod-2"), summary.failures()), (4, 3, 1));
        let expected = [
            "pod    answers  share",
            "pod-1        1   25 %  ##########",
            "pod-2        3   75 %  ##############################",
            "5 calls, 1 call failed",
            "  1 x grpc-status 14",
            "",
        ];
        assert_eq!(printed(&summary), expected.join("\n"));
    }

    #[test]
    fn nothing_counted_is_no_division_by_zero() {
        assert_eq!(printed(&Summary::new()), "pod  answers  share\n0 calls, no call failed\n");
    }
}
