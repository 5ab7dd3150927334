//! Hosting: one app more, where there are a hundred thousand.

use app_hosting::{State, apps};
use candid::{Encode, Principal};
use ic_stable_structures::VectorMemory;
use indus_api::{
    Subject,
    hosting::{App, CreateAppArgs, InitArgs},
    licences::Seat,
    registry::DataClass,
};
use indus_kit::Context;

use super::{
    identity, licences,
    setting::{Suite, WARM_UP_NS, key, mean, unexpected},
};
use crate::net::START_NS;

/// Organisations and persons beside it.
const RECORDS: u64 = 10_000;
/// Founders who make an app, each with a seat that they have just claimed.
const FOUNDERS: usize = 40;

/// Instructions of `create_app` in app_hosting, which asks identity and the license manager, where there are so many apps, each of somebody
/// else.
pub(crate) fn create(apps: u64) -> anyhow::Result<f64> {
    let (mut suite, order) = Suite::new(RECORDS)?;
    let init = InitArgs {
        identity: suite.identity,
        registry: suite.registry,
        license_manager: suite.license_manager,
        configuration: None,
    };
    let memory = VectorMemory::default();
    fill(memory.clone(), suite.hosting, init.clone(), apps)?;
    suite
        .net
        .begin(suite.hosting, "app_hosting", &init, &memory)?;
    suite.net.pass(WARM_UP_NS);
    let figure = measure(&mut suite, &order, apps)?;
    eprintln!("bench: {apps} apps: {figure} instructions for one more");
    Ok(figure)
}

fn fill(memory: VectorMemory, own: Principal, init: InitArgs, apps: u64) -> anyhow::Result<()> {
    let mut context = Context {
        caller: Principal::management_canister(),
        time_ns: START_NS - apps,
    };
    let mut hosting = State::create(memory, &context, own, init)?;
    for number in 0..apps {
        context.time_ns += 1;
        context.caller = key("founder", number);
        let founder = Subject {
            person: context.caller,
            organisation: None,
            roles: Default::default(),
        };
        apps::create(&mut hosting, &context, &founder, true, app(number))?;
        if number % 1_000 == 0 {
            hosting.kit.certified.commit();
        }
    }
    hosting.kit.certified.commit();
    Ok(())
}

fn app(number: u64) -> CreateAppArgs {
    CreateAppArgs {
        organisation: None,
        name: format!("app-{number}"),
        data_class: DataClass::Public,
    }
}

fn measure(suite: &mut Suite, order: &[u64], apps: u64) -> anyhow::Result<f64> {
    let mut spent = 0;
    for (number, application) in order.iter().take(FOUNDERS + 1).enumerate() {
        let officer = identity::official(licences::OFFICER);
        let grant = Encode!(application)?;
        let seat: Seat = suite.update(officer, suite.license_manager, "grant", grant)?;
        // Applications are of the first persons, in their order.
        let founder = identity::caller(application - 1);
        let claim = Encode!(&seat.seat)?;
        let _claimed: Seat = suite.update(founder, suite.license_manager, "claim", claim)?;
        let before = suite.net.instructions(suite.hosting);
        let args = Encode!(&app(*application))?;
        let made: App = suite.update(founder, suite.hosting, "create_app", args)?;
        if made.id != apps + number as u64 + 1 {
            return Err(unexpected("an app", &made));
        }
        // The first one is for the types.
        if number > 0 {
            spent += suite.net.instructions(suite.hosting) - before;
        }
    }
    Ok(mean(spent, u32::try_from(FOUNDERS)?))
}
