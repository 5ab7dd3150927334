//! Apps and their canisters.

use candid::Principal;
use clap::{Args, Subcommand, ValueEnum};
use indus_api::hosting::{
    App, AppOwner, Cost, CreateAppArgs, HostedCanister, ListCostsArgs, app_key, cost_key,
};
use indus_api::paging::Page;
use indus_api::registry::DataClass;

use super::Desk;
use crate::commands::sheet::{self, Fields};
use crate::console::Console;
use crate::failure::Failure;
use crate::when;

#[derive(Subcommand)]
pub(super) enum Verb {
    /// Makes an app, chooses it, and creates a canister for it: holders of a licence, or developers of an organisation in its name.
    Create(Create),
    /// Lists apps, certified, none left out.
    List {
        /// Only those of this organisation.
        #[arg(long, value_name = "ID")]
        organisation: Option<u64>,
        /// Only those of this person.
        #[arg(long, value_name = "ID")]
        person: Option<Principal>,
    },
    /// Shows an app and its canisters, certified.
    Show(Which),
    /// Lists what an app cost, month by month, each certified: cycles, and rupees at the price of each reading.
    Costs(Which),
    /// Chooses the app that tools create canisters for.
    Choose(Which),
    /// Creates one more canister for an app.
    Canister(Which),
    /// Has a canister forgotten that was deleted, so that another one can have its place in the quota.
    Forget {
        #[arg(value_name = "CANISTER")]
        canister: Principal,
    },
}

#[derive(Args)]
pub(super) struct Which {
    /// The app's id.
    #[arg(value_name = "ID")]
    pub(super) id: u64,
}

#[derive(Args)]
pub(super) struct Create {
    /// Written like a slug, such as mandi-rates.
    #[arg(value_name = "NAME")]
    name: String,
    /// In the name of this organisation [default: one's own].
    #[arg(long, value_name = "ID")]
    organisation: Option<u64>,
    /// How sensitive its data may be, at most.
    #[arg(long, value_enum, default_value = "public")]
    data_class: Class,
    /// Create no canister yet.
    #[arg(long)]
    no_canister: bool,
}

/// See [`DataClass`].
#[derive(Clone, Copy, ValueEnum)]
enum Class {
    Public,
    Official,
    Confidential,
    Secret,
}

impl From<Class> for DataClass {
    fn from(class: Class) -> Self {
        match class {
            Class::Public => Self::Public,
            Class::Official => Self::Official,
            Class::Confidential => Self::Confidential,
            Class::Secret => Self::Secret,
        }
    }
}

/// Does it.
pub(super) async fn apps(verb: Verb, desk: &Desk, console: &mut Console) -> Result<(), Failure> {
    let json = desk.network.json;
    match verb {
        Verb::Create(create) => created(create, desk, console).await,
        Verb::List {
            organisation,
            person,
        } => {
            let found = desk.reading()?.canister().records::<App>().await;
            let found = found.map_err(Failure::failed)?;
            let wanted = |app: &&App| match app.owner {
                AppOwner::Person(id) => {
                    organisation.is_none() && person.is_none_or(|person| person == id)
                }
                AppOwner::Organisation(id) => {
                    person.is_none() && organisation.is_none_or(|wanted| wanted == id)
                }
            };
            let things = found.value.iter().filter(wanted).map(fields).collect();
            let columns = ["id", "name", "owner", "data_class", "canisters"];
            sheet::list(&columns, things, Some(found.certified_at), json, console);
            Ok(())
        }
        Verb::Show(Which { id }) => {
            let hosting = desk.reading()?;
            let found = hosting.canister().record::<App>(&app_key(id)).await;
            let found = found.map_err(Failure::failed)?;
            let app = found
                .value
                .ok_or_else(|| Failure::Failed(format!("no app {id}")))?;
            let canisters = hosting.canisters_of(id).await.map_err(Failure::failed)?;
            let mut shown = fields(&app);
            shown.push(("certified_at", when::utc(found.certified_at).into()));
            if json {
                let canisters: Vec<_> = canisters.iter().map(of_canister).collect();
                let canisters: Vec<_> = canisters.into_iter().map(sheet::document).collect();
                shown.push(("its_canisters", canisters.into()));
                sheet::show(shown, true, console);
                return Ok(());
            }
            sheet::show(shown, false, console);
            console.line("");
            let things = canisters.iter().map(of_canister).collect();
            let columns = ["canister", "release", "module", "controllers"];
            sheet::list(&columns, things, None, false, console);
            Ok(())
        }
        Verb::Costs(Which { id }) => {
            let hosting = desk.reading()?;
            let mut things = Vec::new();
            let mut after = None;
            loop {
                let args = ListCostsArgs {
                    app: id,
                    after,
                    limit: 100,
                };
                let page = hosting.canister().query_unverified("list_costs", &args);
                let page: Page<u32, Cost> = page.await.map_err(Failure::failed)?;
                for listed in page.items {
                    let key = cost_key(id, listed.month);
                    let found = hosting.canister().record::<Cost>(&key).await;
                    let found = found.map_err(Failure::failed)?.value;
                    things.extend(found.as_ref().map(of_month));
                }
                after = page.next;
                if after.is_none() {
                    break;
                }
            }
            let columns = [
                "month",
                "cycles_used",
                "cycles_topped_up",
                "readings",
                "pkr",
            ];
            sheet::list(&columns, things, None, json, console);
            Ok(())
        }
        Verb::Choose(Which { id }) => {
            let about = vec![("app", id.into())];
            let signing = desk.signing()?;
            let sentence = "Choose the app that tools create canisters for";
            let app: App = signing
                .call("choose_app", &id, sentence, about, console)
                .await?;
            sheet::show(fields(&app), json, console);
            Ok(())
        }
        Verb::Canister(Which { id }) => {
            let hosting = desk.hosting()?;
            let about: Fields = vec![
                ("this_would", "Create a canister for an app".into()),
                ("app", id.into()),
            ];
            desk.consent.agree(about, json, console)?;
            hosting.choose_app(id).await.map_err(Failure::failed)?;
            let canister = hosting.create_canister().await.map_err(Failure::failed)?;
            let shown = vec![("app", id.into()), ("canister", canister.to_text().into())];
            sheet::show(shown, json, console);
            Ok(())
        }
        Verb::Forget { canister } => {
            let signing = desk.signing()?;
            let sentence = "Forget a canister that was deleted";
            let about = vec![("canister", canister.to_text().into())];
            let app: App = signing
                .call("forget_canister", &canister, sentence, about, console)
                .await?;
            sheet::show(fields(&app), json, console);
            Ok(())
        }
    }
}

async fn created(create: Create, desk: &Desk, console: &mut Console) -> Result<(), Failure> {
    let json = desk.network.json;
    let args = CreateAppArgs {
        organisation: create.organisation,
        name: create.name,
        data_class: create.data_class.into(),
    };
    let about: Fields = vec![
        ("this_would", "Make an app".into()),
        ("name", args.name.clone().into()),
        ("organisation", args.organisation.into()),
        ("data_class", format!("{:?}", args.data_class).into()),
    ];
    let hosting = desk.hosting()?;
    desk.consent.agree(about, json, console)?;
    let app = hosting.create_app(&args).await.map_err(Failure::failed)?;
    let mut app = hosting.choose_app(app.id).await.map_err(Failure::failed)?;
    let mut canister = None;
    if !create.no_canister {
        canister = Some(hosting.create_canister().await.map_err(Failure::failed)?);
        // What was answered is from before.
        app.canisters += 1;
    }
    let mut shown = fields(&app);
    shown.extend(canister.map(|id| ("canister", id.to_text().into())));
    sheet::show(shown, json, console);
    Ok(())
}

fn fields(app: &App) -> Fields {
    let owner = match app.owner {
        AppOwner::Person(person) => format!("person {person}"),
        AppOwner::Organisation(organisation) => format!("organisation {organisation}"),
    };
    vec![
        ("id", app.id.into()),
        ("name", app.name.clone().into()),
        ("owner", owner.into()),
        ("data_class", format!("{:?}", app.data_class).into()),
        ("canisters", app.canisters.into()),
        ("being_created", app.pending.into()),
        ("created_at", sheet::time(app.created_at_ns)),
    ]
}

fn of_month(cost: &Cost) -> Fields {
    let paisa = cost.millipaisa / 1_000;
    vec![
        (
            "month",
            format!("{:04}-{:02}", cost.month / 12, cost.month % 12 + 1).into(),
        ),
        ("cycles_used", cost.cycles_used.to_string().into()),
        ("cycles_topped_up", cost.cycles_topped_up.to_string().into()),
        ("readings", cost.readings.into()),
        ("pkr", format!("{}.{:02}", paisa / 100, paisa % 100).into()),
    ]
}

fn of_canister(hosted: &HostedCanister) -> Fields {
    let module = hosted.module_hash.as_ref().map(|hash| sheet::bytes(hash));
    vec![
        ("canister", hosted.canister.to_text().into()),
        ("release", hosted.release.into()),
        ("module", module.into()),
        ("controllers", sheet::principals(&hosted.controllers)),
        ("created_at", sheet::time(hosted.created_at_ns)),
    ]
}
