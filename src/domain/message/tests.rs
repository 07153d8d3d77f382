use super::*;
use proptest::prelude::*;

proptest! {
    #[test]
    fn an_id_reads_back_what_it_writes(millis in 0..1u64 << 44, sequence in 0..1u64 << 20) {
        let id = MessageId::new(millis, sequence).unwrap();
        prop_assert_eq!(MessageId::parse(&id.to_string()), Some(id));
        prop_assert_eq!((id.millis(), id.sequence()), (millis, sequence));
    }

    #[test]
    fn ids_order_as_their_parts(a in (0..1000u64, 0..1000u64), b in (0..1000u64, 0..1000u64)) {
        let id = |(m, s)| MessageId::new(m, s).unwrap();
        prop_assert_eq!(id(a).cmp(&id(b)), a.cmp(&b));
    }

    /// Failure: the clock jumps.
    #[test]
    fn generated_ids_increase_whatever_the_clock_does(clock in prop::collection::vec(0..1u64 << 45, 1..100)) {
        let mut ids = IdGenerator::above(MessageId::ZERO);
        let mut last = ids.last();
        for wall in clock {
            let id = ids.next(wall);
            prop_assert!(id > last);
            last = id;
        }
    }
}

/// Attack: a `Last-Event-ID` that is garbage or from the future.
#[test]
fn what_is_no_id_of_ours_is_refused() {
    for text in [
        "",
        "-",
        "0",
        "1-",
        "-1",
        "a-b",
        "1-b",
        "+1-0",
        "1-+0",
        "01-0",
        "1-00",
        "1 -0",
        "1-0 ",
        "1-0-0",
        "99999999999999999999-1",
        "17592186044416-0",
        "1-1048576",
        "1-\0",
        "١-0",
    ] {
        assert_eq!(MessageId::parse(text), None, "{text:?}");
    }
    assert_eq!(MessageId::parse("0-0"), Some(MessageId::ZERO));
}

#[test]
fn a_user_id_is_short_and_printable() {
    for bad in ["", "a\nb", "\0", "\u{85}", &"x".repeat(129)] {
        assert_eq!(UserId::parse(bad), None, "{bad:?}");
    }
    for good in ["42", "zoë 🦀", &"x".repeat(128)] {
        assert_eq!(UserId::parse(good).unwrap().as_str(), good);
    }
}
