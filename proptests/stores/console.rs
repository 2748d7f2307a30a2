//! The commands of the console that are about stores, as an operator types them: linked, read, drifted, held back and let go;
//! and inventories from files, with a receipt for every row.

use super::microsoft::{POOL, Store, key, upn};
use super::service_for;
use crate::harness::{ROOT_TOKEN, Service, asked, encode};
use serde_json::{Value, json};
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

/// One operator at one service.
struct Console {
    service: Arc<Service>,
    tenant: String,
}

impl Console {
    fn url(&self) -> String {
        self.service.root().url("").trim_end_matches('/').to_owned()
    }

    /// With which number it ends, and what it prints and complains of.
    #[track_caller]
    fn ends(&self, code: i32, args: &[&str]) -> String {
        let (ended, out, complaint) = asked(&self.url(), &[args, &["--tenant", &self.tenant]].concat());
        assert_eq!(ended, Some(code), "{args:?}: {out}{complaint}");
        out + &complaint
    }
}

fn file(folder: &Path, name: &str, text: &str) -> String {
    let path = folder.join(name);
    fs::write(&path, text).expect("a file");
    path.to_str().expect("a plain path").to_owned()
}

#[test]
fn a_store_is_linked_read_and_compared_and_no_secret_is_printed() {
    let store = Store::with_seats(3);
    let service = Arc::new(service_for(&store.simulator.url()));
    let tenant = service.tenant();
    let console = Console { service: Arc::clone(&service), tenant: tenant.name.clone() };
    let folder = tempfile::tempdir().expect("a folder");
    let secret = file(folder.path(), "secret.json", r#"{"client_secret": "the-simulated-secret-of-seatledger"}"#);
    let url = store.simulator.url();
    let (base, authority) = (format!("base_url={url}"), format!("authority_url={url}"));
    let account = store.directory.as_str();
    let linked = ["stores", "--link", "microsoft-store", "--account", account, "--set", "client_id=seatledger"];
    let said = console.ends(1, &[&linked[..], &["--set", &base, "--set", &authority]].concat());
    assert!(said.contains("no credentials are given"), "{said}");
    // each by itself, and the others stay: else the secret would be sent to the usual address
    let settings = || tenant.get("/store-accounts/microsoft-store").ok()["settings"].clone();
    let known = json!({"client_id": "seatledger", "base_url": url, "authority_url": url});
    let set = |one: &str| {
        console.ends(1, &["stores", "--link", "microsoft-store", "--account", account, "--set", one]);
        settings()
    };
    assert_eq!(set("client_id=seatledger"), known);
    assert_eq!(set("authority_url="), json!({"client_id": "seatledger", "base_url": url}));
    assert_eq!(set(&authority), known);
    let said =
        console.ends(0, &["stores", "--link", "microsoft-store", "--account", account, "--credentials", &secret]);
    assert!(said.contains("runs") && !said.contains("secret-of"), "{said}");
    let said = console.ends(1, &["stores", "--link", "microsoft-store", "--account", "fabrikam.example"]);
    assert!(said.contains("store-account-already-linked"), "{said}");

    let look = console.ends(0, &["sync", "microsoft-store", "--full", "--dry-run"]);
    assert!(look.contains("2 listed") && tenant.list("/pools").is_empty(), "{look}");
    let said = console.ends(0, &["sync", "microsoft-store", "--full"]);
    assert!(said.contains("2 listed") && said.contains("0 at the store"), "{said}");
    console.ends(0, &["drift"]);

    // the brake from two seats on: what two passes miss is held until it is let go
    tenant.patch("/settings", json!({"brake": {"share": 1, "at_least": 2}})).ok();
    for name in ["ada", "bob"] {
        store.simulator.market().assign("intune", &key(), &upn(name)).expect("a seat");
    }
    console.ends(0, &["sync", "microsoft-store", "--full"]);
    for name in ["ada", "bob"] {
        store.simulator.market().reclaim("intune", &key(), &upn(name)).expect("it was there");
    }
    console.ends(0, &["sync", "microsoft-store", "--full"]);
    let held = console.ends(0, &["sync", "microsoft-store", "--full"]);
    assert!(held.contains("held by the brake until a person confirms: 2 seats"), "{held}");
    assert_eq!(tenant.get(&format!("/pools/{}", encode(POOL))).ok()["foreign"], 2);
    // the store shows none used and two are held here, two complete syncs long
    let drift = console.ends(1, &["drift"]);
    assert!(drift.contains("store_used"), "{drift}");
    let sync = held.split("--confirm ").nth(1).expect("the command is named").trim();
    let said: Value = serde_json::from_str(&console.ends(0, &["sync", "--confirm", sync, "--json"])).expect("JSON");
    assert_eq!(said["released"], 2, "{said}");
    assert_eq!(tenant.get(&format!("/pools/{}", encode(POOL))).ok()["foreign"], 0);

    let list: Value = serde_json::from_str(&console.ends(0, &["stores", "--json"])).expect("JSON");
    assert_eq!(list[0]["connector"]["running"], true, "{list}");
    let begun = console.ends(0, &["sync", "microsoft-store", "--dry-run", "--no-wait", "--json"]);
    let begun: Value = serde_json::from_str(&begun).expect("JSON");
    let id = begun["sync"].as_str().expect("a sync").to_owned();
    super::eventually(|| {
        let state = tenant.get(&format!("/syncs/{id}")).ok()["state"].clone();
        if state == "running" { Err(state) } else { Ok(()) }
    });
    store
        .simulator
        .switches()
        .faults
        .set(Some(1), [(seatledger::store::simulator::faults::Fault::CutBefore, 1000)].into_iter().collect());
    let failed = console.ends(1, &["sync", "microsoft-store", "--full"]);
    assert!(failed.contains("failed: the store can't be reached"), "{failed}");
}

#[test]
fn an_inventory_from_a_file_has_a_receipt_for_every_row_and_is_sent_again_when_it_changes() {
    let service = Arc::new(Service::start());
    let tenant = service.tenant();
    let console = Console { service: Arc::clone(&service), tenant: tenant.name.clone() };
    let folder = tempfile::tempdir().expect("a folder");
    let list = file(folder.path(), "bought.csv", "Article,Title,Quantity\nA1,Editor,5\nA2,Viewer,unlimited\n");
    let send = ["sync", "--file", &list, "--map", "name=Title"];
    assert!(console.ends(0, &send).contains("2 imported"));
    assert!(console.ends(0, &send).contains("2 unchanged"));
    fs::write(&list, "Article,Title,Quantity\nA1,Editor,6\nA2,Viewer,many\n").expect("the file");
    let refused = console.ends(1, &send);
    assert!(
        refused.contains("row 3 (A2): refused: owned is \"many\"") && refused.contains("nothing was sent"),
        "{refused}"
    );
    assert_eq!(tenant.get("/pools/declared:A1").ok()["owned"], 5, "one row that can't be read, and none is sent");
    fs::write(&list, "Article,Title,Quantity\nA1,Editor,6\n").expect("the file");
    assert!(console.ends(0, &[&send[..], &["--complete"]].concat()).contains("1 changed"));
    assert_eq!(tenant.get("/pools/declared:A2").ok()["state"], "removed");

    let item = |sku: &str, encrypted: bool| {
        json!({"sku": sku, "license_type": "offline", "name": sku, "owned": 3, "distribution_policy": "restricted",
            "encrypted": encrypted})
    };
    let whole = json!({"complete": false, "items": [item("B1", false), item("B2", true)]}).to_string();
    let whole = file(folder.path(), "inventory.json", &whole);
    for flag in [&["--complete"][..], &["--map", "name=Title"]] {
        let said = console.ends(2, &[&["sync", "--file", &whole], flag].concat());
        assert!(said.contains(flag[0]) && said.contains("CSV"), "{said}");
    }
    let before = tenant.list("/pools");
    let look = console.ends(1, &["sync", "--file", &whole, "--dry-run"]);
    assert!(
        look.contains("nothing was changed: 1 listed") && look.contains("declared:B2: encrypted-package"),
        "{look}"
    );
    let look: Value =
        serde_json::from_str(&console.ends(1, &["sync", "--file", &whole, "--dry-run", "--json"])).expect("JSON");
    assert!(look["dry_run"] == true && look["counts"]["skipped"] == 1, "{look}");
    let look = console.ends(0, &[&send[..], &["--complete", "--dry-run"]].concat());
    assert!(look.contains("nothing was changed: 0 listed") && look.contains("1 unchanged"), "{look}");
    assert_eq!(tenant.list("/pools"), before, "a dry run takes nothing");
    let said = console.ends(1, &["sync", "--file", &whole]);
    assert!(said.contains("B2: refused: encrypted-package") && said.contains("1 imported, 1 refused"), "{said}");

    // on a schedule: again when it has changed, until it is told to stop
    let mut program = Command::new(env!("CARGO_BIN_EXE_seatledger"));
    program.env_clear().env("SEATLEDGER_TOKEN", ROOT_TOKEN).args(send).args(["--every", "1", "--tenant", &tenant.name]);
    let mut running = program.args(["--url", &console.url()]).stdout(Stdio::null()).spawn().expect("the program runs");
    let owns = |seats: u64| {
        super::eventually(|| {
            let owned = tenant.get("/pools/declared:A1").ok()["owned"].clone();
            if owned == seats { Ok(()) } else { Err(owned) }
        });
    };
    owns(6);
    fs::write(&list, "Article,Title,Quantity\nA1,Editor,8\n").expect("the file");
    owns(8);
    let pid = rustix::process::Pid::from_child(&running);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).expect("it runs");
    assert!(running.wait().expect("it ends").success());
}

#[test]
fn what_a_list_has_no_column_for_stays_as_it_is_and_what_changed_is_said() {
    let service = Arc::new(Service::start());
    let tenant = service.tenant();
    let console = Console { service: Arc::clone(&service), tenant: tenant.name.clone() };
    let folder = tempfile::tempdir().expect("a folder");
    let item = |needs_1511: bool| {
        json!({"sku": "A1", "name": "Editor", "license_type": "online", "publisher": "Contoso", "owned": 5, "distribution_policy": "open",
            "price": {"currency": "EUR", "minor_units": 950}, "related_set": "editors", "packages": [{"id": 1}], "installed_by": "store",
            "irrevocable": true, "requires_windows_1511": needs_1511, "private_store_visible": false, "ends_on": "2099-01-31"})
    };
    tenant.post("/inventory", json!({"items": [item(true)]})).ok();
    let pool = |tenant: &crate::harness::Tenant| {
        let mut pool = tenant.get("/pools/declared:A1").ok();
        pool.as_object_mut().expect("a pool").remove("position");
        pool
    };
    let (before, head) = (pool(&tenant), tenant.head());
    let list = file(folder.path(), "a.csv", "sku,name,owned,publisher\nA1,Editor,5,Contoso\n");
    assert!(console.ends(0, &["sync", "--file", &list]).contains("1 unchanged"));
    assert_eq!((pool(&tenant), tenant.head()), (before.clone(), head + 3), "a sync's start, what it saw and its end");
    fs::write(&list, "sku,name,owned\nA1,Editor,6\n").expect("the file");
    assert!(console.ends(0, &["sync", "--file", &list]).contains("1 changed"));
    assert_eq!(tenant.list(&format!("/events?from={}&type=capacity_changed", head + 3)).len(), 1);
    assert_eq!(tenant.head(), head + 7, "and nothing else");
    // of what no list of pools shows, a change is said too
    let whole = file(folder.path(), "a.json", &json!({"items": [item(false)]}).to_string());
    fs::write(&list, "sku,name,owned\nA1,Editor,5\n").expect("the file");
    console.ends(0, &["sync", "--file", &list]);
    assert!(console.ends(0, &["sync", "--file", &whole]).contains("1 changed"));
    assert!(console.ends(0, &["sync", "--file", &whole]).contains("1 unchanged"));

    let list = file(
        folder.path(),
        "licenses.csv",
        "Item name,serial number,seats,expiration date,purchase cost\nPaint,K1,2,2099-01-31,9.50\n",
    );
    let load = |list: &str, more: &[&str]| -> Value {
        let (code, said, complaint) =
            asked(&console.url(), &[&["load", "--tenant", &tenant.name, "--json", "--licenses", list], more].concat());
        assert_eq!(code, Some(0), "{said}{complaint}");
        serde_json::from_str(&said).expect("JSON")
    };
    load(&list, &["--end-dates", "apply", "--license-type", "online"]);
    let loaded = || tenant.list("/pools").into_iter().find(|pool| pool["name"] == "Paint (Online)").expect("a pool");
    let first = loaded();
    assert_eq!((&first["ends_on"], &first["price"]["minor_units"]), (&json!("2099-01-31"), &json!(950)));
    let bare = file(folder.path(), "bare.csv", "Item name,serial number,seats\nPaint,K1,2\n");
    for list in [&list, &bare] {
        assert_eq!(load(list, &[])["total"]["unchanged"], 1);
        assert_eq!(loaded(), first);
    }
    let dearer = file(folder.path(), "dearer.csv", "Item name,serial number,seats,cost\nPaint,K1,2,10\n");
    assert_eq!(load(&dearer, &[])["total"]["taken"], 1, "also where neither name nor number changes");
    let (code, _, complaint) = asked(
        &console.url(),
        &["load", "--tenant", &tenant.name, "--licenses", &bare, "--map", "user_name=Holder logn"],
    );
    assert!(code == Some(2) && complaint.contains("Holder logn") && complaint.contains("serial number"), "{complaint}");
}

#[test]
fn no_proxy_of_the_environment_gets_the_token() {
    let service = Arc::new(Service::start());
    let tenant = service.tenant();
    let console = Console { service: Arc::clone(&service), tenant: tenant.name.clone() };
    let proxy = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    proxy.set_nonblocking(true).expect("it answers at once");
    let url = format!("http://{}", proxy.local_addr().expect("its address"));
    let mut program = Command::new(env!("CARGO_BIN_EXE_seatledger"));
    program.env_clear().env("SEATLEDGER_TOKEN", ROOT_TOKEN).env("HTTP_PROXY", &url).env("http_proxy", &url);
    program.env("ALL_PROXY", &url).args(["drift", "--tenant", &tenant.name, "--url", &console.url()]);
    let mut running = program.stdout(Stdio::null()).spawn().expect("the program runs");
    // a proxy that is asked and says nothing would keep it waiting
    let ended = super::eventually(|| match (proxy.accept(), running.try_wait().expect("a child of ours")) {
        (Ok(_), _) => panic!("the proxy is asked"),
        (Err(_), Some(status)) => Ok(status),
        (Err(error), None) => Err(json!(error.to_string())),
    });
    assert!(ended.success(), "{ended}");
}
