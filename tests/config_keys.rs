#[test]
fn dump() {
    for k in statshub::config::known_keys() {
        println!("K\t{}\t{}\t{}\t{}", k.name, k.default.clone().unwrap_or_default(), k.allowed, k.while_running);
    }
}
