//! What a pass tells, by tables: seats that the store shows and the ledger holds, before and after.

use super::*;
use crate::domain::command::{
    Actor, Command, Door, Envelope, HolderRef, Intake, Inventory, InventoryItem, Observation, PoolRef, ProviderReport,
    RefundOrder, UserRef,
};
use crate::domain::decide::decide;
use crate::domain::event::Event;
use crate::domain::facts::{AppPrice, DistributionPolicy, HeldBy, InstalledBy, Intent, Owned, PoolDetails, Settings};
use crate::domain::ids::{SubjectId, UserId};
use crate::domain::key::LicenseType;
use crate::domain::personal::{Alias, AliasKind, Blind, Personal};
use crate::domain::state::Meta;
use crate::domain::time::Time;

const PEOPLE: [&str; 4] = ["ada", "bob", "cy", "dee"];
const OFFICE: PoolId = PoolId(0);

fn holder(name: &str) -> Holder {
    Holder::User(UserId::at(PEOPLE.iter().position(|known| *known == name).unwrap()))
}

fn upn(name: &str) -> StoreHolder {
    StoreHolder::User(format!("{name}@acme.example"))
}

/// Everybody is called by the name in the table, with a domain behind it; who is `erased` has no name.
#[derive(Default)]
struct Book {
    ours_before: Vec<Holder>,
    /// Was called otherwise since the seat was granted, which only the log remembers.
    once: Option<(Holder, &'static str)>,
    /// Was called so when the store last showed a seat.
    renamed: Option<(Holder, &'static str)>,
    erased: Vec<Holder>,
}

impl Names for Book {
    fn of(&self, _: PoolId, holder: Holder) -> Vec<StoreHolder> {
        let Holder::User(user) = holder else { return vec![] };
        let today = (!self.erased.contains(&holder)).then(|| upn(PEOPLE[user.index()]));
        let old = self.renamed.filter(|(of, _)| *of == holder).map(|(_, name)| upn(name));
        old.into_iter().chain(today).collect()
    }

    fn since(&self, holder: Holder, _: u64) -> Vec<StoreHolder> {
        self.once.iter().filter(|(of, _)| *of == holder).map(|(_, name)| upn(name)).collect()
    }

    fn holder(&self, name: &StoreHolder) -> Option<Holder> {
        PEOPLE.into_iter().find(|known| upn(known) == name.normalized()).map(holder)
    }

    fn was_ours(&self, _: PoolId, holder: Holder) -> bool {
        self.ours_before.contains(&holder)
    }
}

fn key(product: &str) -> PoolKey {
    PoolKey::Microsoft { product_id: product.into(), sku_id: "0016".into(), license_type: LicenseType::Online }
}

fn item(product: &str) -> InventoryItem {
    InventoryItem {
        key: key(product),
        details: PoolDetails {
            held_by: HeldBy::User,
            installed_by: InstalledBy::Store,
            is_confirmed_by_provider: true,
            ..PoolDetails::declared(LicenseType::Online)
        },
        distribution_policy: DistributionPolicy::Restricted,
        ..InventoryItem::declared(product, product, LicenseType::Online, Owned::Count(4))
    }
}

fn play(tenant: &mut Tenant, intake: Intake) {
    let envelope = Envelope {
        recorded_at: Time(1),
        occurred_at: None,
        actor: Actor::Root,
        door: Door::Sync,
        command_id: None,
        content_hash: 0,
        reason: None,
    };
    let answer = decide(tenant, &intake, &envelope, None).answer();
    assert_eq!(answer.rejection, None, "{intake:?}");
}

fn report(tenant: &mut Tenant, report: ProviderReport) {
    play(tenant, Intake::Observation(Observation::Provider { pool: PoolRef::Id(OFFICE), report }));
}

/// Two pools are listed; Ada's seat is confirmed, Bob's is not, Cy's is foreign.
fn tenant() -> Tenant {
    let mut tenant = Tenant::default();
    let (slug, name) = ("acme".to_owned(), "Acme".to_owned());
    let created = Event::TenantCreated { slug, name, settings: Settings::default() };
    tenant.evolve(&created, &Meta { position: 0, recorded_at: Time(0), actor: Actor::Root });
    let provider = Provider::MicrosoftStore;
    let link = Command::LinkStoreAccount {
        provider,
        account_id: "acme".into(),
        settings: "{}".into(),
        is_linked_elsewhere: false,
    };
    play(&mut tenant, Intake::Command(link));
    for (place, name) in PEOPLE.iter().enumerate() {
        let mut blind = Blind([0; 16]);
        blind.0[..name.len()].copy_from_slice(name.as_bytes());
        let aliases = vec![Alias { kind: AliasKind::UserName, blind }];
        let profile = Personal { subject: SubjectId(place as u64), sealed: name.as_bytes().to_vec(), aliases };
        play(&mut tenant, Intake::Observation(Observation::PutUser { user: UserRef::Name(blind), profile }));
    }
    let items = vec![item("office"), item("visio")];
    let language = "en-US".to_owned();
    let inventory =
        Inventory { provider, is_complete: false, is_dry_run: false, language, pages: 1, items, part: None };
    play(&mut tenant, Intake::Observation(Observation::Inventory(inventory)));
    for name in ["ada", "bob"] {
        let target = crate::domain::command::TargetRef::User(UserRef::Id(UserId::at(
            PEOPLE.iter().position(|known| *known == name).unwrap(),
        )));
        let pool = PoolRef::Id(OFFICE);
        play(
            &mut tenant,
            Intake::Command(Command::Assign { pool, target, intent: Intent::Required, mode: None, licensing: None }),
        );
    }
    report(&mut tenant, ProviderReport::GrantConfirmed { holder: holder("ada") });
    report(&mut tenant, ProviderReport::SeatSeen { holder: holder("cy") });
    tenant
}

fn pass(products: &[&str], seats: &[(&str, StoreHolder)]) -> Pass {
    let seat = |(product, holder): &(&str, StoreHolder)| SeatAtStore {
        pool: key(product),
        holder: holder.clone(),
        since: None,
    };
    Pass {
        items: products.iter().map(|product| item(product)).collect(),
        unsupported: vec![],
        undescribed: BTreeSet::new(),
        seats: seats.iter().map(seat).collect(),
        pages: 1,
        is_complete: true,
        next: None,
    }
}

const BOTH: [&str; 2] = ["office", "visio"];

struct Look {
    tenant: Tenant,
    book: Book,
    begun_at: u64,
    before: Remembered,
    now: Instant,
    agree_after: Duration,
}

impl Look {
    fn new() -> Self {
        let tenant = tenant();
        let begun_at = tenant.next_position;
        let (before, now, agree_after) = (Remembered::default(), crate::clock::monotonic(), Duration::ZERO);
        Self { tenant, book: Book::default(), begun_at, before, now, agree_after }
    }

    /// A pass that takes a second.
    fn read(&mut self) -> Read {
        let began = self.now;
        self.now += Duration::from_secs(1);
        Read { begun_at: self.begun_at, began, ended: self.now, agree_after: self.agree_after }
    }

    /// One pass after the other, each knowing what the last one left.
    fn at(&mut self, pass: &Pass) -> Findings {
        let provider = Provider::MicrosoftStore;
        let read = self.read();
        let found = compare(pass, &self.tenant, provider, |_| true, read, &self.before, &self.book);
        self.before = found.remembered.clone();
        found
    }
}

#[test]
fn a_pass_that_shows_what_the_ledger_holds_tells_of_the_confirmation_alone() {
    let shown = [("office", upn("Ada")), ("office", upn("BOB")), ("office", upn("cy"))];
    let found = Look::new().at(&pass(&BOTH, &shown));
    let spelled = [("ada", "Ada"), ("bob", "BOB"), ("cy", "cy")].map(|(who, name)| ((OFFICE, holder(who)), upn(name)));
    let spelled = spelled.into_iter().collect();
    assert_eq!(found, Findings { seen: vec![(OFFICE, holder("bob"))], spelled, ..Findings::default() });
}

#[test]
fn what_is_missing_once_is_remembered_and_what_is_missing_twice_in_a_row_is_gone() {
    let mut look = Look::new();
    let empty = pass(&["office"], &[]);
    let found = look.at(&empty);
    assert_eq!((found.gone, found.lost, found.seen.len()), (vec![], vec![], 0));
    let found = look.at(&empty);
    // Bob's reservation is not confirmed: that it is missing says nothing
    assert_eq!(found.lost, [(OFFICE, holder("ada")), (OFFICE, holder("cy"))]);
    assert_eq!(found.gone, [PoolId(1)]);

    let mut look = Look::new();
    look.at(&empty);
    look.at(&pass(&BOTH, &[("office", upn("ada")), ("office", upn("cy"))]));
    let found = look.at(&empty);
    assert_eq!((found.gone, found.lost), (vec![], vec![]), "not twice in a row");
}

#[test]
fn passes_that_are_close_agree_on_nothing_and_the_first_that_noticed_counts() {
    let mut look = Look::new();
    look.agree_after = Duration::from_secs(60);
    look.book.ours_before = vec![holder("dee")];
    let odd = pass(&["office"], &[("office", upn("dee"))]);
    let concluded = |look: &mut Look| {
        let found = look.at(&odd);
        (found.gone.len(), found.lost.len(), found.seen.len())
    };
    for _ in 0..3 {
        assert_eq!(concluded(&mut look), (0, 0, 0));
    }
    // one begins 59 seconds after the end of the first, and the next one 60
    look.now += Duration::from_secs(57);
    assert_eq!(concluded(&mut look), (0, 0, 0));
    assert_eq!(concluded(&mut look), (1, 2, 1));
}

#[test]
fn a_removed_pool_is_gone_only_while_its_refund_is_yet_to_be_shown() {
    let mut look = Look::new();
    let (provider, pool) = (Provider::MicrosoftStore, PoolRef::Id(PoolId(1)));
    let amount = AppPrice { currency: "EUR".into(), minor_units: 1 };
    let (order, ordered_on) = ("a".to_owned(), Time(1).day());
    let everything = RefundOrder { pool, order, quantity: 4, ordered_on, amount, explains: None };
    play(&mut look.tenant, Intake::Command(Command::Refund(everything)));
    let without = pass(&["office"], &[]);
    look.at(&without);
    assert_eq!(look.at(&without).gone, [PoolId(1)]);
    // shown again it is not gone, and nobody asks for the seats of a removed pool
    let found = look.at(&pass(&BOTH, &[("visio", upn("dee"))]));
    assert_eq!((found.gone, found.seen, found.foreign), (vec![], vec![], 1));
    look.at(&without);
    let (items, language) = (vec![item("office")], "en-US".to_owned());
    let told = Inventory { provider, is_complete: true, is_dry_run: false, language, pages: 1, items, part: None };
    play(&mut look.tenant, Intake::Observation(Observation::Inventory(told)));
    assert_eq!(look.at(&without).gone, [], "the refund is settled");
}

#[test]
fn a_pool_that_is_not_listed_says_nothing_of_its_seats() {
    let mut look = Look::new();
    look.at(&pass(&["visio"], &[]));
    let found = look.at(&pass(&["visio"], &[]));
    assert_eq!((found.gone, found.lost), (vec![OFFICE], vec![]));
}

#[test]
fn a_pass_that_is_not_complete_concludes_nothing_and_forgets_nothing() {
    let mut look = Look::new();
    look.at(&pass(&["office"], &[]));
    let partial = Pass { is_complete: false, ..pass(&[], &[("office", upn("dee"))]) };
    let found = look.at(&partial);
    assert_eq!((found.gone.len(), found.lost.len()), (0, 0));
    let found = look.at(&pass(&["office"], &[]));
    assert_eq!(found.lost.len(), 2, "the two complete ones agree");
}

#[test]
fn what_was_granted_while_the_store_was_read_is_not_missing() {
    let mut look = Look::new();
    look.begun_at = 0;
    look.at(&pass(&["office"], &[]));
    assert_eq!(look.at(&pass(&["office"], &[])).lost, []);
}

#[test]
fn what_was_granted_while_the_store_was_read_is_not_confirmed_by_what_it_showed_before() {
    let shown = [("office", upn("ada")), ("office", upn("bob")), ("office", upn("cy"))];
    let mut look = Look::new();
    look.begun_at = 0;
    // neither confirmed, nor somebody else's
    let found = look.at(&pass(&BOTH, &shown));
    assert_eq!((found.seen, found.foreign, found.strangers.len()), (vec![], 0, 0));
    look.begun_at = look.tenant.next_position;
    assert_eq!(look.at(&pass(&BOTH, &shown)).seen, [(OFFICE, holder("bob"))], "the next pass has seen it");
}

#[test]
fn a_seat_that_was_given_anew_is_missing_for_the_first_time() {
    let mut look = Look::new();
    look.at(&pass(&["office"], &[]));
    report(&mut look.tenant, ProviderReport::SeatAbsent { holder: holder("cy") });
    report(&mut look.tenant, ProviderReport::SeatSeen { holder: holder("cy") });
    look.begun_at = look.tenant.next_position;
    assert_eq!(look.at(&pass(&["office"], &[])).lost, [(OFFICE, holder("ada"))]);
}

#[test]
fn a_seat_of_somebody_else_is_foreign_at_once_and_one_that_was_ours_the_second_time() {
    let shown = [("office", upn("ada")), ("office", upn("cy")), ("office", upn("dee"))];
    let found = Look::new().at(&pass(&BOTH, &shown));
    assert_eq!((found.seen, found.foreign), (vec![(OFFICE, holder("dee"))], 1));

    let mut look = Look::new();
    look.book.ours_before = vec![holder("dee")];
    let first = look.at(&pass(&BOTH, &shown));
    assert_eq!((first.seen, first.foreign), (vec![], 1));
    assert_eq!(look.at(&pass(&BOTH, &shown)).seen, [(OFFICE, holder("dee"))]);
}

#[test]
fn holders_and_pools_that_the_ledger_never_met_are_strangers() {
    let shown = [("office", upn("zoe")), ("project", upn("dee"))];
    let found = Look::new().at(&pass(&["office", "visio", "project"], &shown));
    let names: Vec<_> = found.strangers.iter().map(|seat| (seat.pool.clone(), seat.holder.clone())).collect();
    assert_eq!(names, [(key("office"), upn("zoe")), (key("project"), upn("dee"))]);
    assert_eq!(found.foreign, 2);
}

#[test]
fn who_has_no_name_any_more_is_not_missing() {
    let mut look = Look::new();
    look.book.erased = vec![holder("ada")];
    look.at(&pass(&["office"], &[]));
    assert_eq!(look.at(&pass(&["office"], &[])).lost, [(OFFICE, holder("cy"))]);
}

#[test]
fn a_seat_that_waits_and_that_nobody_can_name_is_settled_by_two_passes() {
    for erased in ["ada", "bob"] {
        let mut look = Look::new();
        look.book.erased = vec![holder(erased)];
        if erased == "ada" {
            let ada = HolderRef::User(UserRef::Id(UserId(0)));
            play(&mut look.tenant, Intake::Command(Command::Reclaim { pool: PoolRef::Id(OFFICE), holder: ada }));
        }
        let shown = [("office", upn("cy")), ("office", upn("zoe"))];
        let shown = pass(&["office"], &shown[..if erased == "ada" { 2 } else { 1 }]);
        assert_eq!(look.at(&shown).nameless, [], "once is not enough");
        assert_eq!(look.at(&Pass { is_complete: false, ..shown.clone() }).nameless, [], "nor is a part");
        let found = look.at(&shown);
        let holder = holder(erased);
        let report = match erased {
            "ada" => ProviderReport::ReleaseConfirmed { holder },
            _ => ProviderReport::GrantRefused { holder, not_enough: false },
        };
        assert_eq!(found.nameless, [(OFFICE, report)], "{erased}");
    }
}

#[test]
fn who_was_renamed_before_the_store_was_ever_read_is_known_by_a_name_of_then() {
    let shown = |name: &str| pass(&BOTH, &[("office", upn(name)), ("office", upn("cy"))]);
    let mut look = Look::new();
    look.book.once = Some((holder("ada"), "maiden"));
    let found = look.at(&shown("Maiden"));
    assert_eq!((found.foreign, found.strangers.len(), found.remembered.missing_seats.len()), (0, 0, 0));
    assert_eq!(found.spelled[&(OFFICE, holder("ada"))], upn("Maiden"));

    // somebody else is called so today, and the seat is theirs
    look.book.once = Some((holder("ada"), "cy"));
    let found = look.at(&pass(&BOTH, &[("office", upn("cy"))]));
    assert_eq!(found.spelled.keys().copied().collect::<Vec<_>>(), [(OFFICE, holder("cy"))]);
}

#[test]
fn of_a_unit_that_was_not_read_nothing_is_concluded_and_nothing_forgotten() {
    let mut look = Look::new();
    look.at(&pass(&["office"], &[("office", upn("cy"))]));
    let before = look.before.clone();
    assert_eq!((before.missing_pools.len(), before.missing_seats.len()), (1, 1));
    let other = |_: &PoolKey| false;
    let read = look.read();
    let found = compare(&pass(&[], &[]), &look.tenant, Provider::MicrosoftStore, other, read, &before, &look.book);
    assert_eq!(found, Findings { remembered: before, ..Findings::default() });
}

#[test]
fn a_release_that_the_store_still_shows_is_no_news() {
    let mut look = Look::new();
    let pool = PoolRef::Id(OFFICE);
    let ada = HolderRef::User(UserRef::Id(UserId(0)));
    play(&mut look.tenant, Intake::Command(Command::Reclaim { pool, holder: ada }));
    let found = look.at(&pass(&BOTH, &[("office", upn("ada")), ("office", upn("cy"))]));
    assert_eq!(found, Findings { spelled: found.spelled.clone(), ..Findings::default() });
}

#[test]
fn who_was_renamed_is_known_by_the_name_that_the_store_showed() {
    let mut look = Look::new();
    look.book.renamed = Some((holder("ada"), "maiden"));
    let found = look.at(&pass(&BOTH, &[("office", upn("Maiden")), ("office", upn("cy"))]));
    assert_eq!((found.foreign, found.strangers.len(), found.remembered.missing_seats.len()), (0, 0, 0));
    assert_eq!(found.spelled[&(OFFICE, holder("ada"))], upn("Maiden"));
}

#[test]
fn a_pool_that_is_skipped_from_now_on_keeps_its_seats() {
    let mut sealed = pass(&BOTH, &[]);
    sealed.items[0].is_encrypted = true;
    let mut unsupported = pass(&["visio"], &[]);
    unsupported.unsupported.push((key("office"), "a type of the store's own".into()));
    for skipping in [sealed, unsupported] {
        let mut look = Look::new();
        look.at(&skipping);
        let found = look.at(&skipping);
        assert_eq!((found.gone, found.lost), (vec![], vec![]));
    }
}

#[test]
fn who_bears_a_name_today_keeps_the_seat_that_the_store_shows_under_it() {
    let mut look = Look::new();
    // Cy came later, and is called as Ada was
    look.book.renamed = Some((holder("ada"), "cy"));
    let shown = pass(&BOTH, &[("office", upn("cy"))]);
    let first = look.at(&shown);
    assert_eq!(first.spelled, [((OFFICE, holder("cy")), upn("cy"))].into());
    assert_eq!(look.at(&shown).lost, [(OFFICE, holder("ada"))]);
}

#[test]
fn a_seat_is_its_former_bearer_s_while_today_s_waits_for_the_grant() {
    let mut look = Look::new();
    look.book.renamed = Some((holder("ada"), "bob"));
    let found = look.at(&pass(&BOTH, &[("office", upn("bob")), ("office", upn("cy"))]));
    assert!(found.seen.is_empty());
    let spelled = [("ada", "bob"), ("cy", "cy")].map(|(who, name)| ((OFFICE, holder(who)), upn(name)));
    assert_eq!(found.spelled, spelled.into());
}
