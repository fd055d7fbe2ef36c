package presets

import (
	"github.com/pkg/errors"

	"github.com/gorget/gorget/gptblock"
	"github.com/gorget/gorget/graph"
	"github.com/gorget/gorget/groups"
)

// System is a named model family.
type System struct {
	Name  string `json:"name"`  // as [Named] takes it: "gpt2"
	Title string `json:"title"` // as people write it: "GPT-2"
	Paper string `json:"paper"` // authors, year, title, arXiv number
	Sizes []Size `json:"sizes"` // smallest first
	Claim Claim  `json:"claim"` // what is commonly said of its weight decay

	tiny                gptblock.Config        // Vocab is not set
	fit                 func(*gptblock.Config) // see Fit; nil if nothing follows
	model, recipe, said []cite                 // said replaces those of recipe for AsClaimed
}

// Size is a published size of a system.
type Size struct {
	Name    string          `json:"name"`    // "124M"
	Printed string          `json:"printed"` // the number of parameters as its publication prints it
	Params  int             `json:"params"`  // the number of parameters, counted
	Config  gptblock.Config `json:"model"`
	Recipe  Recipe          `json:"published"` // as published
	Claimed Recipe          `json:"claimed"`   // as commonly claimed

	exceptions []cite // replace the system's
}

// Choice is one of the two recipes of a system.
type Choice string

// The choices.
const (
	AsPublished Choice = "published" // what was published, with our defaults where nothing was
	AsClaimed   Choice = "claimed"   // AdamW with the weight decay that circulates; norms and biases exempt
)

// String is the choice in a sentence: "as published".
func (c Choice) String() string {
	if c == AsClaimed {
		return "as commonly claimed"
	}
	return "as published"
}

// MarshalText writes "published" or "claimed".
func (c Choice) MarshalText() ([]byte, error) { return []byte(c), nil }

// UnmarshalText reads "published" or "claimed" and refuses all else.
func (c *Choice) UnmarshalText(b []byte) error {
	*c = Choice(b)
	return c.validate()
}

func (c Choice) validate() error {
	if c != AsPublished && c != AsClaimed {
		return errors.Errorf("presets: recipe = %q, want %q or %q", string(c), string(AsPublished), string(AsClaimed))
	}
	return nil
}

// Systems lists the systems in the order in which they appeared.
func Systems() []System {
	return []System{GPT2(), GPT3(), PaLM(), Llama(), Llama2(), Mistral(), Mixtral(), Grok1()}
}

// Named finds a system by its Name.
func Named(name string) (System, error) {
	var names []string
	for _, s := range Systems() {
		if s.Name == name {
			return s, nil
		}
		names = append(names, s.Name)
	}
	return System{}, errors.Errorf("presets: system = %q, want one of %v", name, names)
}

// Size finds a size by its Name.
func (s System) Size(name string) (Size, error) {
	var names []string
	for _, size := range s.Sizes {
		if size.Name == name {
			return size, nil
		}
		names = append(names, size.Name)
	}
	return Size{}, errors.Errorf("presets: size of %s = %q, want one of %v", s.Name, name, names)
}

// Largest is the size with the most parameters.
func (s System) Largest() Size { return s.Sizes[len(s.Sizes)-1] }

// RecipeFor is the published or the claimed recipe of a size.
func (size Size) RecipeFor(c Choice) (Recipe, error) {
	if c == AsClaimed {
		return size.Claimed, nil
	}
	return size.Recipe, c.validate()
}

// Tiny is a model of the system's structure with some hundred thousand
// parameters, besides its vocabulary. It has a context of 64 tokens. It masks
// no padding, as what is padding is up to the vocabulary.
func (s System) Tiny(vocab int) gptblock.Config {
	c := s.tiny
	c.Vocab = vocab
	return c
}

// Fit sets the fields of c that the system computes from others, after these
// were changed: the width of LLaMA's MLP, the scale of PaLM's logits, and that
// of Grok-1's embedding.
func (s System) Fit(c gptblock.Config) gptblock.Config {
	if s.fit != nil {
		s.fit(&c)
	}
	return c
}

// Experiment trains [System.Tiny] for the given number of steps with the recipe
// of the smallest size. The lengths of the recipe's schedule are made to fit
// (see [Recipe.Scaled]), nothing else is changed. A step has 12 sequences of 64
// tokens, as nanoGPT takes for a CPU.
func (s System) Experiment(vocab, steps int, c Choice) (Experiment, error) {
	if steps < 1 {
		return Experiment{}, errors.Errorf("presets: steps = %d, want >= 1", steps)
	}
	r, err := s.Sizes[0].RecipeFor(c)
	if err != nil {
		return Experiment{}, err
	}
	e := Experiment{Config: s.Tiny(vocab), Recipe: r.Scaled(steps), Batch: 12, Time: s.tiny.Context, Micro: 1, Steps: steps}
	return e, e.Config.Validate()
}

// Report tells for every parameter of a size in which group it is, why, and
// what a step does to it when the learning rate is at its peak. No weights are
// made. The policy is the recipe's, or the one named if that is not empty.
func (size Size) Report(c Choice, policy string) (*groups.Report, error) {
	r, err := size.RecipeFor(c)
	if err != nil {
		return nil, err
	}
	if policy != "" {
		r.Policy = policy
	}
	ps, err := graph.NewParams(nil)
	if err != nil {
		return nil, err
	}
	if _, err := gptblock.New(ps, size.Config); err != nil {
		return nil, err
	}
	gs, err := r.Groups(ps)
	if err != nil {
		return nil, err
	}
	solver, err := r.Solver(gs)
	if err != nil {
		return nil, err
	}
	return solver.Report(max(1, r.Schedule.Warmup))
}
