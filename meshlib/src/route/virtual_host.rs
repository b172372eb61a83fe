//! Which virtual host a request belongs to, by its authority.
//!
//! Envoy's order: the exact domain, the longest `*.x`, the longest `x.*`, then `*`. Case does not count, the port does.

use std::collections::HashMap;

use http::{Request, header::HOST};

/// Longer names are lower-cased on the heap: DNS has none.
const STACK_NAME: usize = 320;

/// Domains, each with the number of its virtual host.
#[derive(Debug, Default)]
pub(super) struct Domains {
    exact: Names,
    suffixes: Wildcards,
    prefixes: Wildcards,
    any: Option<usize>,
}

/// Wildcards by the length of what is fixed in them, the longest first.
#[derive(Debug, Default)]
struct Wildcards(Vec<(usize, Names)>);

/// Names in lower case, each with the number of its virtual host.
type Names = HashMap<Box<[u8]>, usize>;

/// Why a domain could not be added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum DomainError {
    Duplicate,
    Invalid,
}

impl Domains {
    pub(super) fn add(&mut self, domain: &str, virtual_host: usize) -> Result<(), DomainError> {
        let domain = domain.to_ascii_lowercase();
        let fixed = domain.trim_matches('*');
        let stars = domain.len() - fixed.len();
        if domain.is_empty() || stars > 1 || fixed.contains('*') {
            return Err(DomainError::Invalid);
        }
        let before = match (stars, fixed) {
            (0, _) => self.exact.insert(domain.as_bytes().into(), virtual_host),
            (_, "") => self.any.replace(virtual_host),
            _ if domain.starts_with('*') => self.suffixes.insert(fixed, virtual_host),
            _ => self.prefixes.insert(fixed, virtual_host),
        };
        if before.is_some() { Err(DomainError::Duplicate) } else { Ok(()) }
    }

    /// The virtual host of this request.
    pub(super) fn find<B>(&self, request: &Request<B>) -> Option<usize> {
        let authority = match request.uri().authority() {
            Some(authority) => authority.as_str().as_bytes(),
            None => request.headers().get(HOST).map_or(&b""[..], |host| host.as_bytes()),
        };
        // Most tables have one virtual host for everything, and nothing to look up.
        if self.exact.is_empty() && self.suffixes.0.is_empty() && self.prefixes.0.is_empty() {
            return self.any;
        }
        let mut stack = [0; STACK_NAME];
        if let Some(name) = stack.get_mut(..authority.len()) {
            name.copy_from_slice(authority);
            name.make_ascii_lowercase();
            self.find_lower(name)
        } else {
            self.find_lower(&authority.to_ascii_lowercase())
        }
    }

    fn find_lower(&self, name: &[u8]) -> Option<usize> {
        let exact = self.exact.get(name).copied();
        exact
            .or_else(|| self.suffixes.find(|length| name.get(name.len().checked_sub(length)?..), name.len()))
            .or_else(|| self.prefixes.find(|length| name.get(..length), name.len()))
            .or(self.any)
    }
}

impl Wildcards {
    fn insert(&mut self, fixed: &str, virtual_host: usize) -> Option<usize> {
        let at = self.0.partition_point(|(length, _)| *length > fixed.len());
        if self.0.get(at).is_none_or(|(length, _)| *length != fixed.len()) {
            self.0.insert(at, (fixed.len(), Names::new()));
        }
        self.0.get_mut(at)?.1.insert(fixed.as_bytes().into(), virtual_host)
    }

    /// The longest wildcard that `part` of the name is in; the star stands for one byte at least.
    fn find<'a>(&self, part: impl Fn(usize) -> Option<&'a [u8]>, name_length: usize) -> Option<usize> {
        let shorter = self.0.iter().filter(|(length, _)| *length < name_length);
        shorter.into_iter().find_map(|(length, wildcards)| wildcards.get(part(*length)?).copied())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(domains: &[&str], host: &str) -> Option<usize> {
        let mut index = Domains::default();
        domains.iter().enumerate().for_each(|(at, domain)| index.add(domain, at).unwrap());
        index.find(&Request::get("/").header("host", host).body(()).unwrap())
    }

    #[test]
    fn exact_then_longest_suffix_then_longest_prefix_then_any() {
        let domains = ["a.b.c", "*.b.c", "*.c", "a.*", "a.b.*", "*", "a:443", "Upper.Example"];
        for (host, expected) in [
            ("a.b.c", 0),
            ("A.B.C", 0),
            ("x.b.c", 1),
            ("x.y.c", 2),
            (".c", 5),
            ("a.x", 3),
            ("a.b.x", 4),
            ("a.", 5),
            ("a:443", 6),
            ("a", 5),
            ("a:444", 5),
            ("", 5),
            ("upper.example", 7),
        ] {
            assert_eq!(find(&domains, host), Some(expected), "{host}");
        }
        assert_eq!(find(&["a"], "b"), None);
    }

    #[test]
    fn names_of_any_length_are_found_without_case() {
        let long = "A".repeat(STACK_NAME + 1);
        assert_eq!(find(&[&long], &long.to_lowercase()), Some(0));
        assert_eq!(find(&["*aa"], &long), Some(0));
    }

    #[test]
    fn the_authority_of_the_target_comes_first() {
        let mut index = Domains::default();
        index.add("a", 0).unwrap();
        let request = Request::get("http://a/").header("host", "b").body(()).unwrap();
        assert_eq!(index.find(&request), Some(0));
    }

    #[test]
    fn what_cannot_be_added() {
        let mut index = Domains::default();
        for domain in ["*", "a", "*.a", "a.*"] {
            index.add(domain, 0).unwrap();
            assert_eq!(index.add(&domain.to_uppercase(), 1), Err(DomainError::Duplicate), "{domain}");
        }
        for domain in ["", "a*b", "*a*", "**"] {
            assert_eq!(index.add(domain, 1), Err(DomainError::Invalid), "{domain}");
        }
    }
}
