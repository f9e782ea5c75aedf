use super::*;

#[test]
fn pauses_double_up_to_the_longest() {
    let pauses: Vec<u128> = (1..=12).map(|failures| pause(failures, false).as_millis()).collect();
    assert_eq!(pauses, [100, 200, 400, 800, 1600, 3200, 6400, 12_800, 25_600, 30_000, 30_000, 30_000]);
    assert_eq!(pause(u32::MAX, false), LONGEST_PAUSE);
}

#[test]
fn the_powerbox_comes_back_at_once_and_then_slower() {
    let pauses: Vec<u128> = (1..=4).map(|failures| pause(failures, true).as_millis()).collect();
    assert_eq!(pauses, [0, 100, 200, 400]);
    assert_eq!(pause(u32::MAX, true), LONGEST_PAUSE);
}

#[test]
fn who_ran_steadily_begins_anew() {
    assert_eq!(failures(7, STEADY), 1);
    assert_eq!(failures(7, STEADY.saturating_sub(Duration::from_nanos(1))), 8);
    assert_eq!(failures(u32::MAX, Duration::ZERO), u32::MAX);
}
