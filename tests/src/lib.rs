//! Scenarios over real sockets, and the rules of the house. The tests themselves are in `tests/`.
