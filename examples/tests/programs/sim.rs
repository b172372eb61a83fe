//! The program `sim`.

use crate::support::{plain, run};

#[test]
fn the_outage_is_replayed_to_the_second() {
    let output = run("sim", &[]);
    let text = plain(&output.stdout);
    assert!(output.status.success(), "{text}{}", plain(&output.stderr));
    let (published, fixed) = text.split_once("With `no_traffic_interval: 10s`").expect("two stories");
    for (story, healthy) in [(published, "   70.0 s"), (fixed, "   20.0 s")] {
        for line in [
            "    0.0 s  calls fail: Unavailable: upstream connect error",
            "    4.9 s  calls succeed again; 50 of 50 have failed",
            &format!("{healthy}  edge: echo-grpc 10.0.0.2:8786 is now healthy"),
            "   92.0 s  -- Kill(\"pod3\")",
            "  110.0 s  edge: echo-grpc 10.0.0.4:8786 is now /failed_active_hc",
            "  115.0 s  edge: echo-grpc 10.0.0.4:8786 is gone",
        ] {
            assert!(story.contains(line), "{line:?} is not in {story}");
        }
    }
}

#[test]
fn it_is_the_same_each_time() {
    let [one, other] = [(), ()].map(|()| plain(&run("sim", &["--trace"]).stdout));
    assert!(one.lines().count() > 2500 && one == other);
}

#[test]
fn files_of_ones_own_are_read() {
    let files = concat!(env!("CARGO_MANIFEST_DIR"), "/kubernetes");
    let [edge, sidecar] = ["edge", "sidecar"].map(|name| format!("{files}/{name}.envoy.yaml"));
    let output = run("sim", &["--edge", &edge, "--sidecar", &sidecar]);
    assert!(plain(&output.stdout).starts_with("\nYour files\n"), "{}", plain(&output.stderr));
    let wrong = run("sim", &["--edge", &sidecar]);
    assert_eq!(plain(&wrong.stderr), "sim: the edge's file has no cluster of type STRICT_DNS\n");
    assert_eq!(run("sim", &["--edge", "/nowhere"]).status.code(), Some(1));
}
