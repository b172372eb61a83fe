//! Bounds on the sizes of futures: what a request moves to the heap, and what it stays in memory with.

/// The size of the future that a function of three arguments makes; it is not called.
pub(crate) fn of<A, B, C, F>(_: impl Fn(A, B, C) -> F) -> usize {
    size_of::<F>()
}

/// Fails if a future has grown beyond `most` bytes, and says what to do.
pub(crate) fn at_most(what: &str, size: usize, most: usize) {
    println!("{what}: {size} bytes of {most}");
    assert!(
        size <= most,
        "{what}: {size} bytes, {most} are allowed. Every request pays for it, in time and for as long as it lasts. \
         What stands in it is what is held over an `.await`, and room for the largest future that is awaited: drop \
         earlier what can be, and box what is rare. If it must grow, raise the bound here and say in the commit what \
         `cargo bench -p meshlib-benches --bench request_path` says of it."
    );
}
