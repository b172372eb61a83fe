//! Checks that an application writes itself.

use std::{
    io,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::time::Instant;

use crate::cluster::{
    config::HealthCheckConfig,
    health::{CustomCheck, FailureKind, ProbeFailure, Prober},
    host::{HealthFlags, Host},
};

fn host() -> Arc<Host> {
    Arc::new(Host::new(([10, 0, 0, 1], 80).into(), None, 1, HealthFlags::FAILED_ACTIVE_HC))
}

fn config(check: CustomCheck) -> HealthCheckConfig {
    HealthCheckConfig::custom(Duration::from_secs(1), Duration::from_secs(10), 2, 2, check)
}

#[tokio::test(start_paused = true)]
async fn each_outcome_has_its_class_and_its_time() {
    let (begin, asked) = (Instant::now(), Arc::new(Mutex::new(Vec::new())));
    let noted = asked.clone();
    let check = CustomCheck::new("scripted", move |host: Arc<Host>| {
        let mut asked = noted.lock().unwrap();
        asked.push((host.address().port(), begin.elapsed().as_secs()));
        let number = asked.len();
        async move {
            match number {
                1 => Ok(()),
                2 => Err(io::Error::other("refused").into()),
                3 => Err(ProbeFailure::new(FailureKind::Protocol, "read only").into()),
                _ => std::future::pending::<Result<(), crate::base::BoxError>>().await,
            }
        }
    });
    let mut prober = Prober::custom(host(), check.clone(), &config(check));
    assert_eq!(prober.next().await, Ok(()));
    let failure = |kind, reason: &'static str| Err(ProbeFailure::new(kind, reason));
    assert_eq!(prober.next().await, failure(FailureKind::Network, "refused"));
    assert_eq!(prober.next().await, failure(FailureKind::Protocol, "read only"));
    assert_eq!(prober.next().await, failure(FailureKind::Timeout, "no answer in time"));
    assert_eq!(*asked.lock().unwrap(), [(80, 0), (80, 10), (80, 20), (80, 30)]);
    assert_eq!(begin.elapsed(), Duration::from_secs(31));
}

#[tokio::test(start_paused = true)]
async fn a_check_that_panics_has_failed_and_is_asked_again() {
    let (begin, asked) = (Instant::now(), AtomicUsize::new(0));
    let check = CustomCheck::new("panics", move |_| {
        let number = asked.fetch_add(1, Ordering::Relaxed);
        assert!(number > 0, "on purpose: when it is called");
        async move {
            assert!(number > 1, "on purpose: when it is polled");
            Ok::<_, io::Error>(())
        }
    });
    let mut prober = Prober::custom(host(), check.clone(), &config(check));
    let panicked = Err(ProbeFailure::new(FailureKind::Network, "the check panicked"));
    assert_eq!([prober.next().await, prober.next().await], [panicked.clone(), panicked]);
    assert_eq!((prober.next().await, begin.elapsed().as_secs()), (Ok(()), 20));
}

#[test]
fn values_are_equal_where_they_are_the_same_check() {
    let check = || CustomCheck::new("same name", |_| async { Ok::<_, io::Error>(()) });
    let one = check();
    assert_eq!(config(one.clone()), config(one.clone()));
    assert_ne!(config(one), config(check()), "nobody can tell whether two functions do the same");
}

#[test]
fn a_service_cannot_be_asked_by_a_check_of_a_host() {
    let check = CustomCheck::new("check", |_| async { Ok::<_, io::Error>(()) });
    let service = tower::service_fn(|_: http::Request<crate::http::Body>| async {
        Err::<http::Response<crate::http::Body>, _>(io::Error::other("not asked"))
    });
    let error = Prober::new(service, &config(check), "echo").unwrap_err();
    assert!(error.to_string().contains("`Prober::custom`"), "{error}");
}
