//! Random histories against a model: apps, slots, answers of the subnet in any order, licences that end, upgrades.

use std::collections::BTreeMap;

use app_hosting::creations::Creation;
use candid::Principal;
use indus_api::hosting::Configuration;
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

use crate::setting::{Setting, founder, named, person, refusal};

const PEOPLE: u8 = 4;
const LIMIT: u32 = 3;
const APPS: u32 = 2;

/// What should be there.
#[derive(Default)]
struct Model {
    /// Apps by owner and name.
    apps: BTreeMap<(u8, u8), u64>,
    /// Owner, canisters, slots.
    counts: BTreeMap<u64, (u8, u32, u32)>,
    chosen: BTreeMap<u8, u64>,
    under_way: Vec<(u8, u64, Creation)>,
    /// Those that are not forgotten, with their apps.
    canisters: Vec<(Principal, u64)>,
}

impl Model {
    /// The app that somebody's canisters are for.
    fn chosen(&self, n: u8) -> Result<u64, &'static str> {
        if let Some(app) = self.chosen.get(&n) {
            return Ok(*app);
        }
        let mut own = self.apps.range((n, 0)..=(n, u8::MAX)).map(|(_, id)| *id);
        match (own.next(), own.next()) {
            (None, _) => Err("no app"),
            (Some(app), None) => Ok(app),
            (Some(_), Some(_)) => Err("invalid app"),
        }
    }
}

fn step(s: &mut Setting, model: &mut Model, random: &mut ChaCha8Rng) {
    let n = random.random_range(1..=PEOPLE);
    let one = founder(n);
    let licensed = s.licensed.contains(&one.person);
    match random.random_range(0..20) {
        0..4 => {
            let name = random.random_range(0..4);
            let answer = s.create_app(&one, named(&format!("app-{name}"), None));
            let own = model.apps.range((n, 0)..=(n, u8::MAX)).count();
            let expected = match model.apps.get(&(n, name)) {
                _ if !licensed => Err("unauthorized".to_owned()),
                Some(id) => Ok(*id),
                None if own == APPS as usize => Err(format!("limit {APPS}")),
                None => Ok(model.counts.len() as u64 + 1),
            };
            match expected {
                Ok(id) => {
                    assert_eq!(answer.unwrap().id, id);
                    model.apps.insert((n, name), id);
                    model.counts.entry(id).or_insert((n, 0, 0));
                }
                Err(refused) => assert_eq!(refusal(answer), refused),
            }
        }
        4..6 => {
            let app = random.random_range(1..=6);
            let answer = s.choose(&one, app);
            match model.counts.get(&app) {
                None => assert_eq!(refusal(answer), "no app"),
                Some((owner, ..)) if *owner != n => assert_eq!(refusal(answer), "unauthorized"),
                Some(_) => {
                    answer.unwrap();
                    model.chosen.insert(n, app);
                }
            }
        }
        6..12 => {
            let answer = s.begin(&one);
            let expected = model.chosen(n).map_err(str::to_owned).and_then(|app| {
                let (_, canisters, slots) = model.counts[&app];
                match () {
                    () if !licensed => Err("unauthorized".to_owned()),
                    () if canisters + slots == LIMIT => Err(format!("limit {LIMIT}")),
                    () => Ok(app),
                }
            });
            match expected {
                Ok(app) => {
                    model.counts.get_mut(&app).unwrap().2 += 1;
                    model.under_way.push((n, app, answer.unwrap()));
                }
                Err(refused) => assert_eq!(refusal(answer), refused),
            }
        }
        12..17 if !model.under_way.is_empty() => {
            let at = random.random_range(0..model.under_way.len());
            let (n, app, creation) = model.under_way.swap_remove(at);
            let counts = model.counts.get_mut(&app).unwrap();
            counts.2 -= 1;
            if random.random_bool(0.6) {
                let canister = s.created(&founder(n), &creation).unwrap();
                counts.1 += 1;
                model.canisters.push((canister, app));
            } else {
                s.refused(&founder(n), &creation).unwrap();
            }
            assert_eq!(refusal(s.refused(&founder(n), &creation)), "no creation");
        }
        17 if !model.canisters.is_empty() => {
            let at = random.random_range(0..model.canisters.len());
            let (canister, app) = model.canisters[at];
            let exists = random.random_bool(0.3);
            s.a_month_later();
            let answer = s.forget(&one, canister, exists);
            match model.counts.get_mut(&app).unwrap() {
                (owner, ..) if *owner != n => assert_eq!(refusal(answer), "unauthorized"),
                _ if exists => assert_eq!(refusal(answer), "conflict"),
                (_, canisters, _) => {
                    answer.unwrap();
                    *canisters -= 1;
                    model.canisters.swap_remove(at);
                }
            }
        }
        18 => {
            if licensed {
                s.licensed.remove(&person(n));
            } else {
                s.licensed.insert(person(n));
            }
        }
        _ => s.reopen(),
    }
}

#[test]
fn every_history_keeps_to_the_quotas_and_loses_nothing() {
    for seed in 0..60 {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let mut s = Setting::with(Configuration {
            apps_of_person: APPS,
            canisters_of_app: LIMIT,
            ..Configuration::default()
        });
        let mut model = Model::default();
        for _ in 0..120 {
            step(&mut s, &mut model, &mut random);
        }
        for (app, (_, canisters, slots)) in &model.counts {
            let found = s.app(*app);
            assert_eq!((found.canisters, found.pending), (*canisters, *slots));
            assert_eq!(s.canisters(*app).len(), *canisters as usize, "seed {seed}");
        }
        s.audit();
    }
}
