//! Scoring in steady state allocates nothing. A binary of its own: it counts the allocations of its whole process.

use mentor::batch::{Item, Rollout};
use mentor::reward::{Reference, Reward, Score};
use mentor::tools::Tools;
use mentor::trajectory::Format;
use serde_json::Value;

#[test]
fn scoring_again_allocates_nothing() {
    let text = include_str!("../golden/reward_official.jsonl");
    let rows: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).expect("golden row")).collect();
    let rows: Vec<(String, Reference)> = rows
        .iter()
        .filter(|row| row["kind"] == "correct_same_calls" || row["kind"] == "wrong_same_calls")
        .map(|row| {
            let reference = Reference::from_json(row["reference"].to_string().as_bytes()).expect("reference");
            (row["rollout"].as_str().expect("text").to_owned(), reference)
        })
        .collect();
    assert!(rows.len() > 500);
    let tools = Tools::new(["add", "subtract", "multiply", "divide"].map(str::to_owned).to_vec());
    for reward in ["mentor-dense", "mentor", "strict"] {
        let reward: Reward = reward.parse().expect("a reward");
        let mut score = Score::default();
        let mut total = 0.0;
        let mut pass = || {
            for (text, reference) in &rows {
                let rollout = Rollout::Text(text);
                Item { rollout, reference, tools: Some(&tools), format: Format::Auto }.score(&reward, &mut score);
                total += score.reward;
            }
        };
        pass(); // buffers grow to what the longest rollout needs
        let counted = allocation_counter::measure(&mut pass);
        assert_eq!(counted.count_total, 0, "{counted:?}");
        assert!(total > 0.0);
    }
}
