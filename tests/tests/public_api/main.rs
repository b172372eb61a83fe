//! The public API of meshlib is deliberate: which types of others stand in it, what is exhaustive, what others may
//! implement, and that every module shows how it is used. All of it is read from one run of rustdoc.
#![cfg(test)]

mod foreign;
mod growth;
mod rustdoc;

use self::rustdoc::Api;

/// One test, because all of it looks at one run.
#[test]
fn the_public_api_is_deliberate() {
    let api = Api::load();
    let complaints: Vec<String> =
        [foreign::complaints(&api), growth::complaints(&api), api.modules_without_examples()].concat();
    assert!(complaints.is_empty(), "\n{}\n", complaints.join("\n"));
}
