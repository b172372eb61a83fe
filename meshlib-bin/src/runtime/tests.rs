use std::collections::HashSet;

use super::*;

#[test]
fn every_worker_is_a_thread_and_dropping_ends_them() {
    struct Dropped(std::sync::mpsc::Sender<()>);
    impl Drop for Dropped {
        fn drop(&mut self) {
            let _ = self.0.send(());
        }
    }

    let workers = WorkerThreads::start(3).unwrap();
    let (ended, ends) = std::sync::mpsc::channel();
    let main = main_runtime().unwrap();
    let mut threads = HashSet::new();
    for handle in workers.handles() {
        let name = async { std::thread::current().name().map(str::to_owned) };
        threads.insert(main.block_on(handle.spawn(name)).unwrap().unwrap());
        let guard = Dropped(ended.clone());
        handle.spawn(async move {
            std::future::pending::<()>().await;
            drop(guard);
        });
    }
    assert_eq!(threads, (0..3).map(|index| format!("wrk:worker_{index}")).collect());
    assert!(ends.try_recv().is_err(), "the tasks run as long as the workers do");
    drop(workers);
    assert_eq!(ends.try_iter().count(), 3);
    shut_down(main);
}
