//! Whatever the seed: all figures are right, all that was planted is found, and nothing else is.

use crate::hub::Hub;
use crate::{demo, item_findings, reconcile, systems};

/// The first seed, how many, and the size of each city; `benches/seeds.sh` takes others.
const FIRST: u64 = 61;
const SEEDS: u64 = 5;
const SCALE: &str = "0.05";

#[tokio::test]
async fn other_cities_give_their_own_figures_and_everything_that_was_planted() {
    let given = |name: &str| std::env::var_os(name).and_then(|text| text.into_string().ok());
    let seeds = given("HUILIU_SEEDS").and_then(|text| text.parse().ok()).unwrap_or(SEEDS);
    let scale = given("HUILIU_SCALE").unwrap_or_else(|| SCALE.to_owned());
    for seed in FIRST..FIRST + seeds {
        println!("seed {seed}, scale {scale}");
        let hub = Hub::shipped();
        let report = if scale == SCALE { hub.prepared(seed) } else { hub.demo_of(seed, &scale) };
        demo::check_city(&hub, &report).await;
        reconcile::check_ledger(&hub, &report);
        item_findings::check_findings(&hub, &report);
        systems::check_systems(&hub, &report);
    }
}
