package presets_test

import (
	"fmt"

	"github.com/gorget/gorget/presets"
)

// PaLM is said to have had a weight decay of 0.1. What its paper says is
// another thing, and the recipe follows the paper.
func Example() {
	palm, err := presets.Named("palm")
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("claimed:", palm.Claim.WeightDecay, "published:", palm.Claim.Published)

	size, err := palm.Size("540B")
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(size.Config.Describe())
	facts, err := palm.Facts(size, presets.AsPublished)
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, f := range facts {
		switch f.Field {
		case "recipe.optimizer", "recipe.eps", "recipe.policy":
			fmt.Printf("%s = %s (%s)\n", f.Field, f.Value, f.Status)
		}
	}
	// Output:
	// claimed: 0.1 published: lr^2, by Adafactor
	// 118 layers, 18432 channels, 48 heads (1 kv), context 2048, vocabulary 256000: 540.4B parameters
	// recipe.optimizer = adafactor (published)
	// recipe.policy = decay_all (derived)
	// recipe.eps = 1e-30, on g^2 (our default)
}

// The groups of 314 billion parameters, and what a step does to each, need no
// memory for weights.
func ExampleSize_Report() {
	report, err := presets.Grok1().Largest().Report(presets.AsClaimed, "")
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, row := range report.Folded().Rows[:3] {
		fmt.Printf("%-38s %10d %-8s tau %.0f steps: %s\n", row.Name, row.Count, row.Group, row.Rate.Tau(), row.Why)
	}
	// Output:
	// model.embed_tokens.weight               805306368 decay    tau 66667 steps: embeddings are of rank 2 and decay
	// model.layers.*.pre_attn_norm.weight        393216 no_decay tau +Inf steps: norm parameters do not decay
	// model.layers.*.self_attn.q_proj.weight 2415919104 decay    tau 66667 steps: matrices decay
}

// A tiny model of the same structure, with the recipe's schedule in proportion.
func ExampleSystem_Experiment() {
	e, err := presets.Llama2().Experiment(65, 1000, presets.AsPublished)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(e.Config.Describe())
	fmt.Printf("%+v\n", e.Recipe.Schedule)
	// Output:
	// 4 layers, 96 channels, 4 heads (2 kv), context 64, vocabulary 65: 418.8k parameters
	// {Shape:cosine Warmup:4 Hold:0 Steps:1000 Floor:0.1}
}
