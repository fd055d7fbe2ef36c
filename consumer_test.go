package gorget_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// consumer is a Gorgonia program of somebody else: stock ops, its own machine
// with BindDualValues, its own loop. gorget comes in as a plugin: roles for the
// nodes that are there, groups, and AdamW in the place of Gorgonia's solver.
const consumer = `package main

import (
	"fmt"
	"log"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/gorget/gorget/graph"
	"github.com/gorget/gorget/groups"
	"github.com/gorget/gorget/solvers"
)

func main() {
	g := gorgonia.NewGraph()
	x := gorgonia.NewMatrix(g, tensor.Float64, gorgonia.WithName("x"), gorgonia.WithShape(4, 2), gorgonia.WithValue(
		tensor.New(tensor.WithShape(4, 2), tensor.WithBacking([]float64{0, 0, 0, 1, 1, 0, 1, 1}))))
	y := gorgonia.NewVector(g, tensor.Float64, gorgonia.WithName("y"), gorgonia.WithShape(4), gorgonia.WithValue(
		tensor.New(tensor.WithShape(4), tensor.WithBacking([]float64{1, 3, 0, 2}))))
	w := gorgonia.NewMatrix(g, tensor.Float64, gorgonia.WithName("w"), gorgonia.WithShape(2, 1), gorgonia.WithInit(gorgonia.Zeroes()))
	b := gorgonia.NewScalar(g, tensor.Float64, gorgonia.WithName("b"), gorgonia.WithValue(0.0))

	xw := gorgonia.Must(gorgonia.Reshape(gorgonia.Must(gorgonia.Mul(x, w)), tensor.Shape{4}))
	pred := gorgonia.Must(gorgonia.Add(xw, b))
	cost := gorgonia.Must(gorgonia.Mean(gorgonia.Must(gorgonia.Square(gorgonia.Must(gorgonia.Sub(pred, y))))))
	learn := gorgonia.Nodes{w, b}
	if _, err := gorgonia.Grad(cost, learn...); err != nil {
		log.Fatal(err)
	}

	params, err := graph.NewParams(g)
	if err != nil {
		log.Fatal(err)
	}
	for n, role := range map[*gorgonia.Node]graph.Role{w: graph.Weight, b: graph.Bias} {
		if _, err := params.Adopt(n, role); err != nil {
			log.Fatal(err)
		}
	}
	gs, err := groups.Split(params, groups.GPT2Policy())
	if err != nil {
		log.Fatal(err)
	}
	adamw, err := solvers.NewAdamW(gs, solvers.WithLR(0.05), solvers.WithWeightDecay(1e-3))
	if err != nil {
		log.Fatal(err)
	}

	vm := gorgonia.NewTapeMachine(g, gorgonia.BindDualValues(learn...))
	defer vm.Close()
	for range 400 {
		if err := vm.RunAll(); err != nil {
			log.Fatal(err)
		}
		if err := adamw.Step(gorgonia.NodesToValueGrads(learn)); err != nil {
			log.Fatal(err)
		}
		vm.Reset()
	}
	fmt.Printf("%.1f %.1f\n", w.Value().Data(), b.Value().Data())
}
`

// foreign runs a program in a module of its own that requires gorget, and
// returns what it prints and the packages that it is made of.
func foreign(t *testing.T, source string) (out, packages string) {
	t.Helper()
	root, err := os.Getwd()
	require.NoError(t, err)
	dir := t.TempDir()
	mod := strings.Join([]string{
		"module example.com/consumer", "go 1.24",
		"require github.com/gorget/gorget v0.0.0",
		"replace github.com/gorget/gorget => " + root, "",
	}, "\n")
	sum, err := os.ReadFile("go.sum")
	require.NoError(t, err)
	for name, content := range map[string]string{"go.mod": mod, "go.sum": string(sum), "main.go": source} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644))
	}
	command := func(args ...string) string {
		cmd := exec.Command("go", args...)
		cmd.Dir, cmd.Env = dir, append(os.Environ(), "GOFLAGS=", "GOWORK=off")
		out, err := cmd.CombinedOutput()
		require.NoError(t, err, "%s", out)
		return string(out)
	}
	return command("run", "-mod=mod", "."), command("list", "-mod=mod", "-deps", ".")
}

func TestAForeignProgramTrainsWithGorget(t *testing.T) {
	out, packages := foreign(t, consumer)
	require.Equal(t, "[-1.0 2.0] 1.0\n", out) // y = -x1 + 2 x2 + 1
	for _, heavy := range []string{"gonum.org/v1/plot", "tiktoken", "progressbar", "avo"} {
		require.NotContains(t, packages, heavy, "users of the solver do not inherit it")
	}
}

func TestTheExampleOfTheReadmeRuns(t *testing.T) {
	readme, err := os.ReadFile("README.md")
	require.NoError(t, err)
	_, rest, found := strings.Cut(string(readme), "```go\npackage main")
	require.True(t, found)
	source, _, _ := strings.Cut(rest, "```")
	out, _ := foreign(t, "package main"+source)
	require.Contains(t, out, "norm parameters do not decay")
	require.Contains(t, out, "step 10  loss")
}
