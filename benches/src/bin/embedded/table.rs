//! The result, as a table for the README.

use std::io::{self, Write};

use crate::{LOADS, clients::Kind};

/// What was measured of one kind of client.
pub(crate) struct Row {
    kind: Kind,
    /// For each load: nanoseconds of CPU time for a call, in the client and beside it, in each round.
    rounds: [Vec<(u64, u64)>; LOADS.len()],
}

impl Row {
    pub(crate) fn new(kind: Kind) -> Self {
        Self { kind, rounds: Default::default() }
    }

    pub(crate) fn kind(&self) -> Kind {
        self.kind
    }

    pub(crate) fn measured(&mut self, load: u32, client: u64, beside: u64) {
        for (rounds, _) in self.rounds.iter_mut().zip(LOADS).filter(|(_, of)| *of == load) {
            rounds.push((client, beside));
        }
    }

    fn cells(&self) -> String {
        let micros = |nanos: u64| format!("{}.{}", nanos / 1000, nanos % 1000 / 100);
        let cell = |rounds: &Vec<(u64, u64)>| {
            let (client, beside) =
                (median(rounds.iter().map(|round| round.0)), median(rounds.iter().map(|round| round.1)));
            match beside {
                0 => format!(" {} |", micros(client)),
                beside => format!(" {} + {} = {} |", micros(client), micros(beside), micros(client + beside)),
            }
        };
        self.rounds.iter().map(cell).collect()
    }
}

fn median(values: impl Iterator<Item = u64>) -> u64 {
    let mut values: Vec<u64> = values.collect();
    values.sort_unstable();
    values.get(values.len() / 2).copied().unwrap_or(0)
}

/// Whether it finds new pods, whether it checks them, whether it says which one failed.
fn abilities(kind: Kind) -> (&'static str, &'static str) {
    match kind {
        Kind::Cluster => ("`meshlib::Cluster`", "yes | yes | yes"),
        Kind::BalanceList => ("tonic `Channel::balance_list`", "no | no | no"),
        Kind::Ginepro => ("ginepro", "yes | no | no"),
        Kind::Sidecar => ("tonic `Channel` to a sidecar (meshlib's)", "yes | yes | in the sidecar's log"),
    }
}

pub(crate) fn print(rows: &[Row]) -> io::Result<()> {
    let mut output = io::stdout().lock();
    let loads = LOADS.map(|load| format!(" µs of CPU a call, {load} at once |")).concat();
    writeln!(output, "| client |{loads} lines of code | new pods by DNS | health checks | names the failed pod |")?;
    writeln!(output, "|---|{}---|---|---|---|", "---|".repeat(LOADS.len()))?;
    for row in rows {
        let (name, abilities) = abilities(row.kind);
        writeln!(output, "| {name} |{} {} | {abilities} |", row.cells(), row.kind.lines())?;
    }
    output.flush()
}
