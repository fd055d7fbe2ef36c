package presets_test

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gorget/gorget/gptblock"
	"github.com/gorget/gorget/graph"
	"github.com/gorget/gorget/groups"
	"github.com/gorget/gorget/presets"
)

var update = flag.Bool("update", false, "write the golden partition files anew")

// partition is which parameters of a model decay under a policy and why.
func partition(t *testing.T, c gptblock.Config, policy groups.Policy) *groups.Report {
	t.Helper()
	ps, err := graph.NewParams(nil)
	require.NoError(t, err)
	_, err = gptblock.New(ps, c)
	require.NoError(t, err)
	gs, err := groups.Split(ps, policy)
	require.NoError(t, err)
	return gs.Report(nil)
}

// Every system under every policy, its largest size with all layers in one
// line and its tiny variant parameter by parameter, equals the committed
// partition; so does each size of GPT-2 and nanoGPT's model without biases,
// parameter by parameter. After an intended change:
// go test ./presets -run Partitions -update
func TestPartitionsEqualTheGoldenOnes(t *testing.T) {
	want := map[string]string{} // by file
	for _, s := range presets.Systems() {
		for _, policy := range groups.Policies() {
			var b bytes.Buffer
			fmt.Fprintln(&b, s.Name, s.Largest().Name)
			require.NoError(t, partition(t, s.Largest().Config, policy).Folded().WriteText(&b))
			fmt.Fprintf(&b, "\n%s tiny, vocabulary 65\n", s.Name)
			require.NoError(t, partition(t, s.Tiny(65), policy).WriteText(&b))
			want[s.Name+"-"+policy.Name] = b.String()
		}
	}
	each := map[string]gptblock.Config{"nanogpt-cpu": presets.NanoGPTCPU(65).Config}
	for _, size := range presets.GPT2().Sizes {
		each["gpt2-"+size.Name] = size.Config
	}
	for name, c := range each {
		var b bytes.Buffer
		require.NoError(t, partition(t, c, groups.GPT2Policy()).WriteText(&b))
		want[name] = b.String()
	}
	var files []string
	for name, text := range want {
		file := filepath.Join("testdata", "partition", name+".txt")
		files = append(files, file)
		if *update {
			require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o755))
			require.NoError(t, os.WriteFile(file, []byte(text), 0o644))
		}
		golden, err := os.ReadFile(file)
		require.NoError(t, err)
		require.Equal(t, string(golden), text, "%s: see -update", file)
	}
	found, err := filepath.Glob(filepath.Join("testdata", "partition", "*"))
	require.NoError(t, err)
	require.ElementsMatch(t, files, found, "no golden file is left over")
}

// The sizes of a system differ in numbers alone: folded, their partitions have
// the same names, roles, groups and reasons.
func TestSizesHaveTheSamePartition(t *testing.T) {
	for _, s := range presets.Systems() {
		var first []string
		for i, c := range append([]gptblock.Config{s.Tiny(65)}, configs(s)...) {
			var rows []string
			for _, r := range partition(t, c, groups.GPT2Policy()).Folded().Rows {
				rows = append(rows, fmt.Sprint(r.Name, r.Aliases, r.Role, r.Group, r.Why))
			}
			if i == 0 {
				first = rows
			}
			require.Equal(t, first, rows, s.Name)
		}
	}
}

func configs(s presets.System) (cs []gptblock.Config) {
	for _, size := range s.Sizes {
		cs = append(cs, size.Config)
	}
	return cs
}
