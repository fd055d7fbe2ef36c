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

// partition is which parameters of a model decay under a policy and why, those
// of all layers in one line.
func partition(t *testing.T, c gptblock.Config, policy groups.Policy) string {
	t.Helper()
	ps, err := graph.NewParams(nil)
	require.NoError(t, err)
	_, err = gptblock.New(ps, c)
	require.NoError(t, err)
	gs, err := groups.Split(ps, policy)
	require.NoError(t, err)
	var b bytes.Buffer
	require.NoError(t, gs.Report(nil).Folded().WriteText(&b))
	return b.String()
}

// Every system under every policy, its largest size and its tiny variant,
// equals the committed partition. After an intended change:
// go test ./presets -run Partitions -update
func TestPartitionsEqualTheGoldenOnes(t *testing.T) {
	var want []string
	for _, s := range presets.Systems() {
		for _, policy := range groups.Policies() {
			file := filepath.Join("testdata", "partition", fmt.Sprintf("%s-%s.txt", s.Name, policy.Name))
			want = append(want, file)
			got := fmt.Sprintf("%s %s\n%s\n%s tiny, vocabulary 65\n%s", s.Name, s.Largest().Name, partition(t, s.Largest().Config, policy),
				s.Name, partition(t, s.Tiny(65), policy))
			if *update {
				require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o755))
				require.NoError(t, os.WriteFile(file, []byte(got), 0o644))
			}
			golden, err := os.ReadFile(file)
			require.NoError(t, err)
			require.Equal(t, string(golden), got, "%s: see -update", file)
		}
	}
	files, err := filepath.Glob(filepath.Join("testdata", "partition", "*"))
	require.NoError(t, err)
	require.ElementsMatch(t, want, files, "no golden file is left over")
}

// The sizes of a system differ in numbers alone: folded, their partitions have
// the same names, roles, groups and reasons.
func TestSizesHaveTheSamePartition(t *testing.T) {
	for _, s := range presets.Systems() {
		var first []string
		for i, c := range append([]gptblock.Config{s.Tiny(65)}, configs(s)...) {
			ps, err := graph.NewParams(nil)
			require.NoError(t, err)
			_, err = gptblock.New(ps, c)
			require.NoError(t, err)
			gs, err := groups.Split(ps, groups.GPT2Policy())
			require.NoError(t, err)
			var rows []string
			for _, r := range gs.Report(nil).Folded().Rows {
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
