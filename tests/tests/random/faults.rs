//! What goes wrong, and how all of it is mended.

use meshlib::{
    base::DrainTimes,
    http::grpc::Code,
    testkit::{Answer, Event, Health, Link, Sim, millis, secs},
};

use crate::story::{SERVICE, pods};

/// Some fault, or the end of one.
pub(crate) fn any(sim: &Sim, random: &mut fastrand::Rng) -> Event {
    let pods = pods(sim);
    let pod = pods[random.usize(..pods.len())].clone();
    match random.u8(..6) {
        0 => process(pod, random),
        1 => application(pod, random),
        2 => name(sim, random),
        3 => front(pod, random),
        4 => between(pod, random),
        _ => edge(random),
    }
}

fn process(pod: String, random: &mut fastrand::Rng) -> Event {
    match random.u8(..10) {
        0 => Event::Kill(pod),
        1 => Event::KillProxy(pod),
        2 => Event::KillApps(pod),
        3 => Event::Vanish(pod),
        4 => Event::Drain(pod, DrainTimes::within(secs(random.u64(1..26)))),
        5 => Event::StartApps(pod),
        _ => Event::Start(pod),
    }
}

fn application(pod: String, random: &mut fastrand::Rng) -> Event {
    match random.u8(..11) {
        0 => Event::Health(pod, Health::NotServing),
        1 => Event::Health(pod, Health::Silent),
        2 | 3 => Event::Health(pod, Health::Serving),
        4 => Event::Delay(pod, millis(random.u64(0..20_000))),
        5 => Event::Delay(pod, secs(0)),
        6 => Event::Answer(pod, Answer::Break),
        7 => Event::Answer(pod, Answer::Grpc(Code::INTERNAL)),
        8 => Event::Answer(pod, Answer::Http(http::StatusCode::INTERNAL_SERVER_ERROR)),
        9 => Event::Answer(pod, Answer::Silent),
        _ => Event::Answer(pod, Answer::Echo),
    }
}

fn name(sim: &Sim, random: &mut fastrand::Rng) -> Event {
    let service = SERVICE.to_owned();
    match random.u8(..6) {
        0 => Event::DnsNx(service),
        1 => Event::DnsFails(service),
        2 => Event::DnsHangs(service),
        _ => {
            let some = pods(sim).into_iter().filter(|_| random.bool());
            Event::Dns(service, some.map(|pod| sim.node(&pod).address()).collect())
        }
    }
}

fn front(pod: String, random: &mut fastrand::Rng) -> Event {
    match random.u8(..6) {
        0 => Event::Refuse(pod),
        1 => Event::BlackHole(pod),
        2 => Event::Cut(pod),
        3 => Event::HalfOpen(pod),
        _ => Event::Restore(pod),
    }
}

fn between(pod: String, random: &mut fastrand::Rng) -> Event {
    let edge = "edge".to_owned();
    match random.u8(..6) {
        0 => Event::Partition(edge, pod),
        1 => Event::Isolate(pod),
        2 => Event::Link(edge, pod, Link::latency(millis(random.u64(0..800)))),
        3 => Event::Rejoin(pod),
        _ => Event::Heal(edge, pod),
    }
}

fn edge(random: &mut fastrand::Rng) -> Event {
    let edge = "edge".to_owned();
    match random.u8(..8) {
        0 => Event::Kill(edge),
        1 => Event::Drain(edge, DrainTimes::default()),
        2 => Event::Cut(edge),
        3 => Event::SwapCertificate(edge),
        _ => Event::Start(edge),
    }
}

/// Ends whatever was begun.
pub(crate) async fn mend(sim: &mut Sim) {
    let pods = pods(sim);
    for node in pods.iter().cloned().chain(["edge".to_owned()]) {
        for event in [Event::Rejoin, Event::Restore, Event::Kill, Event::Start] {
            sim.apply(event(node.clone())).await;
        }
    }
    for pod in pods.iter().cloned() {
        let edge = "edge".to_owned();
        for event in [
            Event::Heal(edge.clone(), pod.clone()),
            Event::Link(edge, pod.clone(), Link::latency(millis(1))),
            Event::Health(pod.clone(), Health::Serving),
            Event::Delay(pod.clone(), secs(0)),
            Event::Answer(pod, Answer::Echo),
        ] {
            sim.apply(event).await;
        }
    }
    sim.dns(SERVICE).set(pods.iter().map(String::as_str));
}
