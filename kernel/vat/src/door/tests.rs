use super::packet::{pack, unpack};
use super::*;

fn badge() -> Badge {
    Badge {
        grant: 12,
        interface: 0xdd5a_f006_25ae_a914,
        rights: Rights::READ,
        expires_at_ms: 1_800_000_000_000,
        calls: Lease::of(500),
        bytes: Lease::UNLIMITED,
        methods: vec![Method { interface: 7, ordinal: 0 }, Method { interface: 7, ordinal: u16::MAX }],
        peer: Peer::Shell,
        holder: "search#1".into(),
        object: "/notes".into(),
        accounts: vec![Account { grant: 7, quota_bytes: 1 << 20 }],
    }
}

fn resource() -> Resource {
    let identity = Identity { file_system: 7, handle: vec![1; HANDLE_LIMIT_BYTES], inode: u64::MAX };
    Resource { token: 9, path: "/home/ada/docs".into(), identity, ..Resource::new(ResourceKind::Folder, "folder") }
}

fn all_to_vat() -> Vec<ToVat> {
    vec![
        ToVat::Begin(Begin { process: 1 << 63, setup: vec![7; 60_000], resources: 3, reduced: true }),
        ToVat::Link(Link {
            id: 4,
            role: Role::Server,
            carries: Carries::Raw,
            label: "search#1/stdout".into(),
            badge: badge().encode().unwrap(),
        }),
        ToVat::Resource(resource()),
        ToVat::Notice(Notice { link: 4, label: "docs".into(), reason: EndReason::Revoked, detail: "by uid 0".into() }),
        ToVat::Stop,
    ]
}

fn all_from_vat() -> Vec<FromVat> {
    vec![
        FromVat::Confined(Confinement {
            profile: "folder".into(),
            applied: vec!["seccomp".into(), "landlock 7".into()],
            missing: vec!["empty root".into()],
        }),
        FromVat::Ended { link: u64::MAX },
        FromVat::Resource(resource()),
        FromVat::Last("no such file".into()),
    ]
}

#[test]
fn what_is_encoded_is_decoded() {
    for message in all_to_vat() {
        assert_eq!(ToVat::decode(&message.encode().unwrap()).unwrap(), message);
    }
    for message in all_from_vat() {
        assert_eq!(FromVat::decode(&message.encode().unwrap()).unwrap(), message);
    }
    assert_eq!(Badge::decode(&badge().encode().unwrap()).unwrap(), badge());
}

#[test]
fn bytes_at_any_alignment_are_read() {
    let packet = ToVat::Resource(resource()).encode().unwrap();
    for shift in 0..8 {
        let mut shifted = vec![0; shift];
        shifted.extend_from_slice(&packet);
        assert_eq!(ToVat::decode(&shifted[shift..]).unwrap(), ToVat::Resource(resource()));
    }
}

#[test]
fn a_cut_or_lengthened_packet_is_refused() {
    let packet = ToVat::Resource(resource()).encode().unwrap();
    for length in 0..packet.len() {
        assert!(ToVat::decode(&packet[..length]).is_err(), "{length} bytes of {}", packet.len());
    }
    let longer = [packet, vec![0; 8]].concat();
    assert!(matches!(ToVat::decode(&longer), Err(DoorError::Frame)));
}

#[test]
fn no_byte_changed_in_a_packet_breaks_the_reader() {
    for packet in all_from_vat().iter().map(|message| message.encode().unwrap()) {
        for position in 0..packet.len() {
            for value in [0, 1, 0x7f, 0x80, 0xff] {
                let mut changed = packet.clone();
                changed[position] = value;
                if let Ok(FromVat::Last(last)) = FromVat::decode(&changed) {
                    assert!(last.len() <= LAST_LIMIT_BYTES);
                }
            }
        }
    }
}

#[test]
fn a_table_that_claims_gigabytes_reserves_nothing() {
    let claim = [[0, 0, 0, 0], [0xff, 0xff, 0xff, 0x1f]].concat();
    assert!(matches!(unpack(&claim), Err(DoorError::Frame)));
    let many_segments = [[0xff, 0xff, 0xff, 0x7f], [0, 0, 0, 0]].concat();
    assert!(matches!(unpack(&many_segments), Err(DoorError::Frame)));
}

#[test]
fn a_list_holds_so_many_layers_and_no_more() {
    let many = FromVat::Confined(Confinement { applied: vec!["x".repeat(500); 1_000], ..Confinement::default() });
    let FromVat::Confined(kept) = FromVat::decode(&many.encode().unwrap()).unwrap() else { panic!() };
    assert_eq!(kept.applied, vec!["x".repeat(LABEL_LIMIT_BYTES); 32]);
}

#[test]
fn long_texts_are_clipped_or_refused() {
    let last = FromVat::Last("é".repeat(2_000)).encode().unwrap();
    assert_eq!(FromVat::decode(&last).unwrap(), FromVat::Last("é".repeat(500)));
    let path = FromVat::Resource(Resource { path: "p".repeat(5_000), ..resource() });
    assert!(matches!(FromVat::decode(&path.encode().unwrap()), Err(DoorError::TooLong("path"))));
}

#[test]
fn what_does_not_fit_into_a_packet_is_not_packed() {
    let begin = Begin { setup: vec![0; PACKET_LIMIT_BYTES], ..Begin::default() };
    assert!(matches!(ToVat::Begin(begin).encode(), Err(DoorError::TooLarge(_))));
}

#[test]
fn a_message_that_grew_is_packed_as_one_segment() {
    let mut message = capnp::message::Builder::new(capnp::message::HeapAllocator::new().first_segment_words(1));
    let mut begin = message.init_root::<schema::door_capnp::to_vat::Builder<'_>>().init_begin();
    begin.set_setup(&[5; 10_000]);
    assert!(message.get_segments_for_output().len() > 1);
    let packet = pack::<schema::door_capnp::to_vat::Owned>(&message).unwrap();
    let expected = Begin { setup: vec![5; 10_000], ..Begin::default() };
    assert_eq!(ToVat::decode(&packet).unwrap(), ToVat::Begin(expected));
}
