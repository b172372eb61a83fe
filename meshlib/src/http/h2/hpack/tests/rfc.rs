//! The examples of RFC 7541, appendix C.

use super::{super::Decoder, decode, hex};

/// The table of the examples C.5 and C.6 has 256 bytes.
const RESIZE_TO_256: &str = "3f e1 01";

const REQUESTS: [&[&str]; 3] = [
    &[":method: GET", ":scheme: http", ":path: /", ":authority: www.example.com"],
    &[":method: GET", ":scheme: http", ":path: /", ":authority: www.example.com", "cache-control: no-cache"],
    &[
        ":method: GET",
        ":scheme: https",
        ":path: /index.html",
        ":authority: www.example.com",
        "custom-key: custom-value",
    ],
];

const RESPONSES: [&[&str]; 3] = [
    &[
        ":status: 302",
        "cache-control: private",
        "date: Mon, 21 Oct 2013 20:13:21 GMT",
        "location: https://www.example.com",
    ],
    &[
        ":status: 307",
        "cache-control: private",
        "date: Mon, 21 Oct 2013 20:13:21 GMT",
        "location: https://www.example.com",
    ],
    &[
        ":status: 200",
        "cache-control: private",
        "date: Mon, 21 Oct 2013 20:13:22 GMT",
        "location: https://www.example.com",
        "content-encoding: gzip",
        "set-cookie: foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1",
    ],
];

fn check(blocks: [&str; 3], expected: [&[&str]; 3]) {
    let mut decoder = Decoder::new(4096);
    for (block, expected) in blocks.into_iter().zip(expected) {
        assert_eq!(decode(&mut decoder, &hex(block)).unwrap(), expected);
    }
}

#[test]
fn literals() {
    let decode = |block| decode(&mut Decoder::new(4096), &hex(block)).unwrap();
    // C.2.1 to C.2.4.
    assert_eq!(
        decode("400a 6375 7374 6f6d 2d6b 6579 0d63 7573 746f 6d2d 6865 6164 6572 be"),
        ["custom-key: custom-header"; 2]
    );
    assert_eq!(decode("040c 2f73 616d 706c 652f 7061 7468"), [":path: /sample/path"]);
    assert_eq!(decode("1008 7061 7373 776f 7264 0673 6563 7265 74"), ["password: secret"]);
    assert_eq!(decode("82"), [":method: GET"]);
}

#[test]
fn requests() {
    check(
        [
            "828684410f7777772e6578616d706c652e636f6d",
            "828684be58086e6f2d6361636865",
            "828785bf400a637573746f6d2d6b65790c637573746f6d2d76616c7565",
        ],
        REQUESTS,
    );
}

#[test]
fn requests_in_huffman_code() {
    check(
        [
            "828684418cf1e3c2e5f23a6ba0ab90f4ff",
            "828684be5886a8eb10649cbf",
            "828785bf408825a849e95ba97d7f8925a849e95bb8e8b4bf",
        ],
        REQUESTS,
    );
}

#[test]
fn responses_with_eviction() {
    let first = "4803333032580770726976617465611d4d6f6e2c203231204f637420323031332032303a31333a323120474d54\
        6e1768747470733a2f2f7777772e6578616d706c652e636f6d";
    check(
        [
            &[RESIZE_TO_256, first].concat(),
            "4803333037c1c0bf",
            "88c1611d4d6f6e2c203231204f637420323031332032303a31333a323220474d54c05a04677a6970\
             7738666f6f3d4153444a4b48514b425a584f5157454f50495541585157454f49553b206d61782d6167653d333630303b20\
             76657273696f6e3d31",
        ],
        RESPONSES,
    );
}

#[test]
fn responses_in_huffman_code_with_eviction() {
    let first = "488264025885aec3771a4b6196d07abe941054d444a8200595040b8166e082a62d1bff6e919d29ad171863c78f0b97c8\
        e9ae82ae43d3";
    check(
        [
            &[RESIZE_TO_256, first].concat(),
            "4883640effc1c0bf",
            "88c16196d07abe941054d444a8200595040b8166e084a62d1bffc05a839bd9ab77ad94e7821dd7f2e6c7b335dfdfcd5b3960\
             d5af27087f3672c1ab270fb5291f9587316065c003ed4ee5b1063d5007",
        ],
        RESPONSES,
    );
}
