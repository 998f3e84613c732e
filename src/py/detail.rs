//! Everything about one scored rollout, as JSON.

use serde_json::{Value as Tree, json};

use crate::answer::Verdict;
use crate::batch::Item;
use crate::json::Value;
use crate::reward::{COMPONENTS, Reward, Score};
use crate::trajectory::Span;

pub(super) fn detail(score: &Score, item: &Item<'_>, reward: &Reward) -> Tree {
    let span = |span: &Span| json!([span.start, span.end]);
    let (trajectory, reference) = (&score.trajectory, item.reference);
    let credit = score.turn_credit(reward);
    let components: serde_json::Map<String, Tree> = COMPONENTS
        .iter()
        .zip(score.facts.components())
        .map(|(name, value)| ((*name).to_owned(), json!(value)))
        .collect();
    json!({
        "reward": score.reward,
        "components": components,
        "answer": trajectory.answer_text(),
        "answer_span": trajectory.answer.as_ref().map(|answer| span(&answer.span)),
        "correct": score.facts.correct,
        "verdict": score.verdict.map(Verdict::name),
        "calls": trajectory.calls.iter().map(|call| json!({
            "name": trajectory.name(call),
            "arguments": Value::Object(trajectory.arguments(call)).to_tree(),
            "span": call.span.as_ref().map(span),
            "turn": call.turn,
            "result": trajectory.result_text(call),
            "result_span": call.result.and_then(|at| trajectory.results[at].span).as_ref().map(span),
        })).collect::<Vec<_>>(),
        "matches": score.matches.iter().map(|m| json!({
            "call": m.call, "reference": m.reference, "exact": m.exact, "similarity": m.similarity,
            "reasons": score.explain_match(m, reference, item.tools, reward).reasons(),
        })).collect::<Vec<_>>(),
        "defects": trajectory.defects.iter().map(|defect| json!({
            "kind": defect.kind.name(), "message": defect.message, "span": defect.span.as_ref().map(span),
        })).collect::<Vec<_>>(),
        "turns": trajectory.turns.iter().zip(credit).map(|(turn, credit)| json!({
            "span": span(&turn.span), "message": turn.message, "results": turn.results, "credit": credit,
        })).collect::<Vec<_>>(),
        "reward_name": reward.name(),
        "terms": reward.terms(&score.facts),
        "reference_answer": reference.gold.text(),
        "reference_calls": reference.calls.iter().map(|call| json!({
            "name": reference.doc.str(call.name),
            "arguments": reference.doc.value(call.arguments).to_tree(),
            "result": call.result.map(|text| reference.doc.str(text)),
        })).collect::<Vec<_>>(),
    })
}
