//! What holds at every step, and what holds at rest.

use std::{collections::BTreeMap, net::SocketAddr, time::Duration};

use meshlib::{
    base::stats::StatValue,
    testkit::{Call, Node, Outcome, Sim},
};

const CLUSTER: &str = "echo-grpc";

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
    let (records, history) = (Records::of(sim), sim.node("edge").host_history(CLUSTER));
    sim.calls().iter().try_for_each(|call| {
        has_a_reason(call, &records)?;
        met_a_member(sim, call, &history)
    })
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
}

/// The response flags of a line in Envoy's own format.
fn flags(line: &str) -> &str {
    line.split('"').nth(2).and_then(|after| after.split(' ').nth(2)).unwrap_or("?")
}

/// Every call has ended; what was answered is in the edge's log, once; and what meshlib itself answered with a failure
/// says why in some log.
fn has_a_reason(call: &Call, records: &Records) -> Result<(), String> {
    let lost = |what: &str| Err(format!("{what}: {call:?}, in the logs as {:?}", records.all.get(&call.number)));
    match &call.outcome {
        Outcome::Pending | Outcome::Abandoned => lost("a call that never ended"),
        Outcome::Answered { by, .. } => {
            let lines = records.edge.get(&call.number).map_or(0, Vec::len);
            if lines != 1 {
                return lost(&format!("an answer with {lines} lines"));
            }
            let told = || records.all.get(&call.number).into_iter().flatten().any(|line| flags(line) != "-");
            // An application may fail as it likes, but a response without an application has another reason.
            let own = by.is_none() && !call.outcome.is_success();
            if own && !told() && !answered_500(call) { lost("a failure without a reason") } else { Ok(()) }
        }
        _ => Ok(()),
    }
}

/// A 500 is the application's: it has no name in it.
fn answered_500(call: &Call) -> bool {
    matches!(call.outcome, Outcome::Answered { status: 500, .. })
}

/// Whoever answered was in the edge's host set while the call went on.
fn met_a_member(sim: &Sim, call: &Call, history: &[(Duration, Vec<SocketAddr>)]) -> Result<(), String> {
    let (Outcome::Answered { by: Some(by), .. }, Some(end)) = (&call.outcome, call.end) else { return Ok(()) };
    let address = sim.node(by).front().expect("a listener");
    let mut sets = history.iter().enumerate().filter(|(index, (from, _))| {
        let until = history.get(index + 1).map_or(Duration::MAX, |(next, _)| *next);
        *from <= end && until >= call.begin
    });
    let member = sets.any(|(_, (_, hosts))| hosts.contains(&address));
    member.then_some(()).ok_or(format!("{by} was no host when it answered {call:?}"))
}
