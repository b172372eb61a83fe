//! What holds at every step, and what holds at rest.

use std::{collections::BTreeMap, net::SocketAddr, time::Duration};

use meshlib::{
    base::stats::StatValue,
    testkit::{Call, Happened, Node, Outcome, Sim, secs},
};

const CLUSTER: &str = "echo-grpc";
/// No call of the edge's route takes as long: it waits 15 s at most, once it can be reached.
const PATIENCE: Duration = secs(30);

/// At every step.
pub(crate) fn now(sim: &Sim) -> Result<(), String> {
    sim.nodes().try_for_each(|node| {
        for (name, value) in node.stats().snapshot() {
            if let StatValue::Gauge(level @ ..0) = value {
                return Err(format!("{}: {name} is at {level}", node.name()));
            }
        }
        members_are_counted(node)
    })
}

fn members_are_counted(node: &Node) -> Result<(), String> {
    let gauge = |name: &str| node.gauge(&format!("cluster.{CLUSTER}.{name}"));
    let counted = (gauge("membership_total"), gauge("membership_healthy"));
    let Some(hosts) = node.host_set(CLUSTER) else { return Ok(()) };
    let published = (hosts.hosts().len() as i64, hosts.healthy() as i64);
    let name = node.name();
    (counted == published).then_some(()).ok_or(format!("{name} counts {counted:?} hosts of {published:?}"))
}

/// When every call has ended.
pub(crate) fn at_rest(sim: &Sim) -> Result<(), String> {
    for node in sim.nodes() {
        for name in ["upstream_rq_active", "upstream_rq_pending_active"] {
            let level = node.gauge(&format!("cluster.{CLUSTER}.{name}"));
            (level == 0).then_some(()).ok_or(format!("{}: {name} is at {level}", node.name()))?;
        }
        let level = node.gauge("http.ingress_https.downstream_rq_active");
        (level == 0).then_some(()).ok_or(format!("{}: {level} requests go on", node.name()))?;
    }
    let (records, disturbed) = (Records::of(sim), edge_disturbed(&sim.trace()));
    let history = sim.node("edge").host_history(CLUSTER);
    sim.calls().iter().try_for_each(|call| {
        has_a_reason(call, &records, &disturbed)?;
        met_members(sim, call, &records, &history)
    })
}

/// When clients may have missed the edge: it was down or on its way there, or its connections were cut.
fn edge_disturbed(trace: &[Happened]) -> Vec<(Duration, Duration)> {
    let (mut disturbed, mut down) = (Vec::new(), Some(Duration::ZERO));
    for Happened { at, what, .. } in trace {
        if what == "edge serves" {
            disturbed.extend(down.take().map(|since| (since, *at)));
        } else if ["-- Kill(\"edge\"", "-- Drain(\"edge\""].iter().any(|event| what.starts_with(event)) {
            down.get_or_insert(*at);
        } else if what == "-- Cut(\"edge\")" {
            disturbed.push((*at, *at));
        }
    }
    disturbed.extend(down.map(|since| (since, Duration::MAX)));
    disturbed
}

/// The access logs: status and flags of each line, by call; first the edge's, then the sidecars'.
struct Records {
    edge: BTreeMap<usize, Vec<String>>,
    all: BTreeMap<usize, Vec<String>>,
}

impl Records {
    fn of(sim: &Sim) -> Self {
        let all = sim.nodes().flat_map(Node::log);
        Self { edge: Self::by_call(sim.node("edge").log().into_iter()), all: Self::by_call(all) }
    }

    fn by_call(lines: impl Iterator<Item = String>) -> BTreeMap<usize, Vec<String>> {
        let mut calls = BTreeMap::<usize, Vec<String>>::new();
        for line in lines {
            let number = line.split_once("\"call-").and_then(|(_, rest)| rest.split_once('"')?.0.parse().ok());
            if let Some(number) = number {
                calls.entry(number).or_default().push(line);
            }
        }
        calls
    }

    /// Whether some log has a reason for what came of a call.
    fn told(&self, call: &Call) -> bool {
        self.all.get(&call.number).into_iter().flatten().any(|line| flags(line) != "-")
    }
}

/// The host that a request was sent to, the last field of a line in Envoy's own format.
fn upstream_host(line: &str) -> Option<SocketAddr> {
    line.trim_end().rsplit('"').nth(1)?.parse().ok()
}

/// The response flags of a line in Envoy's own format.
fn flags(line: &str) -> &str {
    line.split('"').nth(2).and_then(|after| after.split(' ').nth(2)).unwrap_or("?")
}

/// Every call has ended. What was answered is in the edge's log, once; what meshlib itself answered with a failure
/// says why in some log. What was not answered is in the edge's log with a reason, unless the client lost the edge.
fn has_a_reason(call: &Call, records: &Records, disturbed: &[(Duration, Duration)]) -> Result<(), String> {
    let lost = |what: &str| Err(format!("{what}: {call:?}, in the logs as {:?}", records.all.get(&call.number)));
    let edge = || records.edge.get(&call.number).into_iter().flatten();
    match &call.outcome {
        Outcome::Pending | Outcome::Abandoned => lost("a call that never ended"),
        Outcome::Answered { by, .. } => {
            let lines = edge().count();
            if lines != 1 {
                return lost(&format!("an answer with {lines} lines"));
            }
            // An application may fail as it likes, but a response without an application has another reason.
            let own = by.is_none() && !call.outcome.is_success();
            if own && !records.told(call) && !answered_500(call) { lost("a failure without a reason") } else { Ok(()) }
        }
        // Streams go on for ever; of all others the edge's route is the first to lose patience.
        Outcome::TimedOut if call.end.is_some_and(|end| end - call.begin >= PATIENCE) => lost("a call without answer"),
        _ => {
            let end = call.end.unwrap_or(Duration::MAX);
            let lost_the_edge = disturbed.iter().any(|(from, until)| *from <= end && *until >= call.begin);
            let told = edge().any(|line| flags(line) != "-");
            if told || lost_the_edge { Ok(()) } else { lost("a call that is lost without a reason") }
        }
    }
}

/// A 500 is the application's: it has no name in it.
fn answered_500(call: &Call) -> bool {
    matches!(call.outcome, Outcome::Answered { status: 500, .. })
}

/// Whoever answered, and whoever the edge says that it was sent to, was in the edge's host set while the call went on.
fn met_members(
    sim: &Sim,
    call: &Call,
    records: &Records,
    history: &[(Duration, Vec<SocketAddr>)],
) -> Result<(), String> {
    let Some(end) = call.end else { return Ok(()) };
    let answered = match &call.outcome {
        Outcome::Answered { by: Some(by), .. } => Some(sim.node(by).front().expect("a listener")),
        _ => None,
    };
    let sent = records.edge.get(&call.number).into_iter().flatten().filter_map(|line| upstream_host(line));
    for host in answered.into_iter().chain(sent) {
        let mut sets = history.iter().enumerate().filter(|(index, (from, _))| {
            let until = history.get(index + 1).map_or(Duration::MAX, |(next, _)| *next);
            *from <= end && until >= call.begin
        });
        if !sets.any(|(_, (_, hosts))| hosts.contains(&host)) {
            return Err(format!("{host} was no host when it had {call:?}"));
        }
    }
    Ok(())
}
