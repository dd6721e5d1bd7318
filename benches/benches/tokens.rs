//! Processor time of one token: drawn, issued and redeemed, by type.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::as_conversions,
    reason = "a measurement that goes wrong must end loudly, and figures are rounded anyway"
)]

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng as _;
use sordino_benches::{Table, median, percentile, thousands, thread_cpu};
use sordino_tokens::{
    AllowedChallenges, BatchLimits, Draw, Due, Epoch, IssuerKeys, KeyPurpose, SpendProof, Token,
    TokenChallenge, TokenClass, TokenType, parse_issue_request,
};
use std::hint::black_box;

const HUB: &str = "hub.example";
const NOW_S: u64 = 10;
const ROUNDS: usize = 15;

/// Microseconds per call, each round of `calls` calls.
fn measure(calls: usize, per_call: usize, mut work: impl FnMut()) -> Vec<f64> {
    work();
    (0..ROUNDS)
        .map(|_| {
            let before = thread_cpu();
            (0..calls).for_each(|_| work());
            (thread_cpu() - before).as_secs_f64() * 1e6 / (calls * per_call) as f64
        })
        .collect()
}

fn digits(micros: f64) -> String {
    if micros < 1.0 {
        format!("{micros:.3}")
    } else {
        format!("{micros:.1}")
    }
}

fn spread(micros: &[f64]) -> String {
    format!(
        "{} ({}-{})",
        digits(median(micros)),
        digits(percentile(micros, 0.0)),
        digits(percentile(micros, 1.0))
    )
}

fn per_second(micros: &[f64]) -> String {
    thousands(1e6 / median(micros))
}

struct Bench {
    keys: IssuerKeys,
    allowed: AllowedChallenges,
    rng: ChaCha20Rng,
}

impl Bench {
    fn new() -> Self {
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        let mut keys = IssuerKeys::new();
        // As many keys as a hub has that offers everything.
        for number in 0..3 {
            for class in TokenClass::ALL {
                for token_type in TokenType::ALL {
                    let epoch = Epoch::new(number, number * 100, (number + 1) * 100).unwrap();
                    let purpose = KeyPurpose {
                        class,
                        token_type,
                        epoch,
                    };
                    keys.generate(purpose, &mut rng).unwrap();
                }
            }
        }
        Self {
            keys,
            allowed: AllowedChallenges::of_hub(HUB).unwrap(),
            rng,
        }
    }

    /// A batch as large as is issued at once, or one token where there are no batches.
    fn draw(&mut self, token_type: TokenType) -> Draw {
        let directory = self.keys.directory("/token-request", NOW_S);
        let key = directory.key_at(TokenClass::Write, token_type, NOW_S);
        let challenge = TokenChallenge::of_hub(token_type, HUB).unwrap();
        let count = BatchLimits::default().of(token_type);
        if token_type.is_amortised() {
            Draw::amortised(key.unwrap(), &challenge, count, &mut self.rng).unwrap()
        } else {
            Draw::single(key.unwrap(), &challenge, &mut self.rng).unwrap()
        }
    }

    fn issue(&mut self, draw: &Draw, body: &[u8]) -> Vec<u8> {
        let request = parse_issue_request(draw.form(), body, &BatchLimits::default()).unwrap();
        self.keys
            .issue(&request, NOW_S, &mut self.rng)
            .unwrap()
            .body
    }
}

fn row(bench: &mut Bench, token_type: TokenType, table: &mut Table) -> Vec<Token> {
    let rate: usize = if token_type == TokenType::VoprfRistretto255 {
        20
    } else {
        1
    };
    let draw = bench.draw(token_type);
    let count = draw.count();
    let body = draw.request().unwrap();
    let blind = measure(rate.div_ceil(4), count, || {
        black_box(bench.draw(token_type));
    });
    let answer = bench.issue(&draw, &body);
    let issue = measure(rate, count, || {
        black_box(bench.issue(&draw, &body));
    });
    let finish = measure(rate.div_ceil(4), count, || {
        black_box(draw.finish(&answer).unwrap());
    });
    let tokens = draw.finish(&answer).unwrap();
    let redeem = measure(rate * 20, 1, || {
        let token = black_box(tokens[0].as_bytes());
        black_box(bench.keys.verify(token, &bench.allowed, NOW_S).unwrap());
    });
    table.row(&[
        format!("0x{:04x}", token_type.code()),
        count.to_string(),
        per_second(&issue),
        per_second(&redeem),
        spread(&issue),
        spread(&redeem),
        spread(&blind),
        spread(&finish),
    ]);
    tokens
}

/// What is refused without arithmetic, and what a create-group request pays.
fn spends(bench: &Bench, tokens: &[Token]) {
    let mut table = Table::new(&["what", "CPU µs, median (least-most)"]);
    let mut line = |what: &str, micros: Vec<f64>| table.row(&[what.into(), spread(&micros)]);
    let five: Vec<&[u8]> = tokens.iter().take(5).map(Token::as_bytes).collect();
    let due = Due {
        class: TokenClass::Write,
        tokens: 5,
    };
    let recognise = || {
        let proof = SpendProof::Tokens(&five);
        bench
            .keys
            .recognise_payment(proof, due, &bench.allowed, NOW_S)
    };
    line(
        "five tokens checked, as creating a group costs",
        measure(20, 1, || {
            black_box(recognise().unwrap().verify().unwrap());
        }),
    );
    line(
        "the same five recognised, before any arithmetic",
        measure(1_000, 1, || {
            black_box(recognise().unwrap());
        }),
    );
    let mut unknown = five[0].to_vec();
    unknown[66] ^= 1;
    for (what, token) in [
        ("a token of an unknown key", &unknown[..]),
        ("160 bytes of a token", &five[0][..160]),
    ] {
        line(
            what,
            measure(1_000, 1, || {
                black_box(bench.keys.verify(black_box(token), &bench.allowed, NOW_S)).unwrap_err();
            }),
        );
    }
    table.print();
}

fn main() {
    let mut bench = Bench::new();
    let mut table = Table::new(&[
        "type",
        "batch",
        "issued/s and core",
        "redeemed/s and core",
        "issue, CPU µs per token",
        "redeem",
        "client: blind",
        "client: finish",
    ]);
    let mut tokens = Vec::new();
    for token_type in TokenType::ALL {
        let drawn = row(&mut bench, token_type, &mut table);
        if token_type == TokenType::VoprfRistretto255 {
            tokens = drawn;
        }
    }
    table.print();
    spends(&bench, &tokens);
}
