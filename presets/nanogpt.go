package presets

import (
	"github.com/gorget/gorget/gptblock"
	"github.com/gorget/gorget/solvers"
)

// Experiment is a model, its recipe and the size of a run.
type Experiment struct {
	Config gptblock.Config `json:"model"`
	Recipe Recipe          `json:"recipe"`
	Batch  int             `json:"batch"`   // sequences a micro-batch
	Time   int             `json:"context"` // tokens a sequence
	Micro  int             `json:"micro"`   // micro-batches a step
	Steps  int             `json:"steps"`
}

// NanoGPTCPU is nanoGPT's recipe for a CPU (karpathy/nanoGPT README, "I only
// have a macbook"): a character model of 0.8M parameters. On tiny Shakespeare
// nanoGPT reports a validation loss of 1.88 after its 2000 steps. vocab is the
// number of different characters.
//
// The schedule counts as nanoGPT does: from step 0, warming up over 100 steps
// by (step+1)/101.
func NanoGPTCPU(vocab int) Experiment {
	const steps, warmup = 2000, 100
	return Experiment{
		Config: gptblock.Config{
			Vocab: vocab, Context: 64, Layers: 4, Channels: 128, Heads: 4,
			Layout: gptblock.LayoutGPT2, Block: gptblock.BlockPreNorm,
			Norm: gptblock.NormLayer, NormEps: 1e-5,
			Activation: gptblock.GELUErf, Position: gptblock.PositionLearned, Tied: true,
			Init: gptblock.Init{Std: 0.02, ScaleResidual: true},
		},
		Recipe: Recipe{
			Optimizer: AdamW, Policy: "gpt2",
			LR: 1e-3, Schedule: solvers.WarmupCosine(warmup+1, steps+1, 0.1),
			Beta1: 0.9, Beta2: 0.99, Eps: 1e-8, WeightDecay: 0.1, Clip: 1,
		},
		Batch: 12, Time: 64, Micro: 1, Steps: steps,
	}
}
