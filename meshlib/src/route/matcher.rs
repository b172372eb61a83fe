//! The routes of one virtual host, indexed by path.
//!
//! The answer is the lowest rule whose conditions hold, found without looking at all of them: exact paths by hash,
//! prefixes by binary search and a walk up the prefixes of the prefix found. Only rules whose path matches have their
//! header conditions looked at.

use std::collections::HashMap;

use http::Request;

use crate::{
    http::header_match::{HeaderMatchError, HeaderMatcher},
    route::config::{PathMatch, RouteMatch},
};

/// Compiled conditions of an ordered list of routes.
#[derive(Debug)]
pub(super) struct RouteIndex {
    headers: Box<[Box<[HeaderMatcher]>]>,
    exact: HashMap<Box<str>, Vec<u32>>,
    prefixes: Box<[Prefix]>,
}

/// The rules of one prefix.
#[derive(Debug)]
struct Prefix {
    text: Box<str>,
    /// In the order of the rules.
    rules: Vec<u32>,
    /// The longest other prefix that this one begins with.
    parent: Option<usize>,
    /// The lowest rule here and in all parents: where to stop walking.
    lowest: u32,
}

impl RouteIndex {
    pub(super) fn new<'a>(routes: impl IntoIterator<Item = &'a RouteMatch>) -> Result<Self, HeaderMatchError> {
        let mut headers = Vec::new();
        let mut exact: HashMap<Box<str>, Vec<u32>> = HashMap::new();
        let mut prefixes: HashMap<Box<str>, Vec<u32>> = HashMap::new();
        for (rule, route) in (0..).zip(routes) {
            headers.push(HeaderMatcher::all(&route.headers)?.into());
            let (map, text) = match &route.path {
                PathMatch::Exact(path) => (&mut exact, path),
                PathMatch::Prefix(prefix) => (&mut prefixes, prefix),
            };
            map.entry(text.as_str().into()).or_default().push(rule);
        }
        Ok(Self { headers: headers.into(), exact, prefixes: link(prefixes) })
    }

    /// The lowest rule that takes this request. A request without a path (CONNECT) has none.
    pub(super) fn find<B>(&self, request: &Request<B>) -> Option<usize> {
        let target = request.uri().path_and_query()?;
        let mut best = u32::MAX;
        if let Some(rules) = self.exact.get(target.path()) {
            self.improve(&mut best, rules, request);
        }
        let mut candidate = self.longest_prefix_of(target.as_str());
        while let Some(prefix) = candidate
            && prefix.lowest < best
        {
            self.improve(&mut best, &prefix.rules, request);
            candidate = prefix.parent.and_then(|parent| self.prefixes.get(parent));
        }
        (best != u32::MAX).then_some(best as usize)
    }

    /// Lowers `best` to the first of `rules` whose header conditions hold, if that is lower.
    fn improve<B>(&self, best: &mut u32, rules: &[u32], request: &Request<B>) {
        let lower = rules.iter().take_while(|rule| **rule < *best);
        let holds = |rule: &&u32| {
            let conditions = self.headers.get(**rule as usize);
            conditions.is_some_and(|conditions| conditions.iter().all(|condition| condition.matches(request)))
        };
        if let Some(rule) = lower.into_iter().find(holds) {
            *best = *rule;
        }
    }

    /// In sorted order a prefix of `path` stands before it, and whatever stands between the two begins with the
    /// prefix as well: so it is the last entry up to `path`, or one of that entry's parents.
    fn longest_prefix_of(&self, path: &str) -> Option<&Prefix> {
        let after = self.prefixes.partition_point(|prefix| *prefix.text <= *path);
        let mut candidate = self.prefixes.get(after.checked_sub(1)?);
        while let Some(prefix) = candidate
            && !path.starts_with(&*prefix.text)
        {
            candidate = prefix.parent.and_then(|parent| self.prefixes.get(parent));
        }
        candidate
    }
}

/// Sorts the prefixes and finds the parent of each.
fn link(prefixes: HashMap<Box<str>, Vec<u32>>) -> Box<[Prefix]> {
    let mut sorted: Vec<_> = prefixes.into_iter().collect();
    sorted.sort_unstable_by(|one, other| one.0.cmp(&other.0));
    let mut linked: Vec<Prefix> = Vec::with_capacity(sorted.len());
    // The chain of prefixes of the one before, longest last.
    let mut open: Vec<usize> = Vec::new();
    for (text, rules) in sorted {
        let begins_with = |index: &usize| linked.get(*index).is_some_and(|other| text.starts_with(&*other.text));
        while open.last().is_some_and(|index| !begins_with(index)) {
            open.pop();
        }
        let parent = open.last().copied();
        let above = parent.and_then(|parent| linked.get(parent)).map_or(u32::MAX, |parent| parent.lowest);
        let lowest = rules.first().copied().unwrap_or(u32::MAX).min(above);
        open.push(linked.len());
        linked.push(Prefix { text, rules, parent, lowest });
    }
    linked.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::header_match::HeaderMatch;

    /// What the index must agree with: every rule in turn.
    fn naive(routes: &[RouteMatch], request: &Request<()>) -> Option<usize> {
        let target = request.uri().path_and_query()?;
        routes.iter().position(|route| {
            let path = match &route.path {
                PathMatch::Exact(path) => target.path() == path,
                PathMatch::Prefix(prefix) => target.as_str().starts_with(prefix.as_str()),
            };
            path && route.headers.iter().all(|header| HeaderMatcher::new(header).unwrap().matches(request))
        })
    }

    fn text(random: &mut fastrand::Rng, most: usize) -> String {
        let letters = ["a", "b", "/", "?", "ab", "/a"];
        let tail = (0..random.usize(0..=most)).map(|_| letters[random.usize(..letters.len())]);
        std::iter::once("/").chain(tail).collect()
    }

    fn route(random: &mut fastrand::Rng) -> RouteMatch {
        let route = match random.u8(..10) {
            0..4 => RouteMatch::path(text(random, 4)),
            4..9 => RouteMatch::prefix(text(random, 4)),
            _ => RouteMatch::prefix(""),
        };
        match random.u8(..3) {
            0 => route,
            _ => route.header(HeaderMatch::exact("x-a".parse().unwrap(), random.u8(..3).to_string())),
        }
    }

    #[test]
    fn agrees_with_looking_at_every_rule() {
        let mut random = fastrand::Rng::with_seed(17);
        let (mut found, mut missed) = (0, 0);
        for _ in 0..300 {
            let routes: Vec<_> = (0..random.usize(0..40)).map(|_| route(&mut random)).collect();
            let index = RouteIndex::new(&routes).unwrap();
            for _ in 0..100 {
                let path = text(&mut random, 7);
                let request = Request::get(&path).header("x-a", random.u8(..3).to_string()).body(()).unwrap();
                let expected = naive(&routes, &request);
                assert_eq!(index.find(&request), expected, "{path} in {routes:?}");
                *if expected.is_some() { &mut found } else { &mut missed } += 1;
            }
        }
        assert!(found > 1000 && missed > 1000, "{found} found, {missed} missed");
    }

    #[test]
    fn prefixes_are_bytes_and_see_the_query() {
        let index = RouteIndex::new(&[RouteMatch::prefix("/api.Echo/"), RouteMatch::prefix("/x?y")]).unwrap();
        let find = |path: &str| index.find(&Request::get(path).body(()).unwrap());
        assert_eq!(find("/api.Echo/Echo"), Some(0));
        assert_eq!(find("/api.Echo"), None);
        assert_eq!(find("/api.echo/Echo"), None);
        assert_eq!(find("/x?yz"), Some(1));
    }

    #[test]
    fn connect_has_no_path_and_no_route() {
        let index = RouteIndex::new(&[RouteMatch::prefix("")]).unwrap();
        assert_eq!(index.find(&Request::connect("a.example:443").body(()).unwrap()), None);
    }
}
