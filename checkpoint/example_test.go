package checkpoint_test

import (
	"fmt"
	"os"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/gorget/gorget/checkpoint"
	"github.com/gorget/gorget/checkpoint/safetensors"
	"github.com/gorget/gorget/graph"
)

// Weights are saved by name, here rounded to BF16, and loaded by another
// program into a model of its own.
func Example() {
	dir, err := os.MkdirTemp("", "gorget-example")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)

	params := func(seed uint64) *graph.Params {
		ps, _ := graph.NewParams(gorgonia.NewGraph(), graph.WithSeed(seed))
		ps.New("lin.weight", graph.Weight, tensor.Shape{2, 2}, graph.Constant(float64(seed)+0.1))
		ps.New("lin.bias", graph.Bias, tensor.Shape{2}, nil)
		return ps
	}
	if err := checkpoint.Save(dir, params(1), checkpoint.SaveDtype(safetensors.BF16)); err != nil {
		fmt.Println(err)
		return
	}
	ps := params(2)
	if err := checkpoint.Load(ps, dir, checkpoint.CheckFinite()); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(ps.Get("lin.weight").Value().Data())
	// Output: [1.1015625 1.1015625 1.1015625 1.1015625]
}

// A run saves itself; a later process goes on from the newest checkpoint that
// is whole.
func ExampleStore() {
	dir, err := os.MkdirTemp("", "gorget-example")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	ps, _ := graph.NewParams(gorgonia.NewGraph())
	ps.New("bias", graph.Bias, tensor.Shape{2}, nil)

	type config struct {
		LR float64 `json:"lr"`
	}
	store, err := checkpoint.NewStore(dir, 3)
	if err != nil {
		fmt.Println(err)
		return
	}
	_, err = store.Save(checkpoint.Snapshot{Step: 100, Params: ps, Config: config{LR: 1e-3}, Corpus: "sha256:..."})
	if err != nil {
		fmt.Println(err)
		return
	}
	saved, _, err := store.Latest()
	if err != nil {
		fmt.Println(err)
		return
	}
	now := config{LR: 3e-4}
	fmt.Println(saved.Reconcile(&now, "sha256:...", checkpoint.Neither) != nil)
	fmt.Println(saved.Reconcile(&now, "sha256:...", checkpoint.Theirs), now.LR)
	fmt.Println(saved.Restore(ps, nil), saved.Step())
	// Output:
	// true
	// <nil> 0.001
	// <nil> 100
}
