package hf

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/pkg/errors"

	"github.com/gorget/gorget/checkpoint"
	"github.com/gorget/gorget/checkpoint/safetensors"
	"github.com/gorget/gorget/gptblock"
	"github.com/gorget/gorget/graph"
	"github.com/gorget/gorget/internal/atomicfile"
)

// New makes the model in the folder dir: its parameters, in ps, with the
// weights of the folder. Make ps with graph.WithoutInit, so that no time goes
// into initial values. On Params of another graph that share those of a model
// (graph.Params.Share), use gptblock.New with [ReadConfig] instead.
func New(ps *graph.Params, dir string, opts ...checkpoint.LoadOption) (*gptblock.Model, error) {
	c, err := ReadConfig(dir)
	if err != nil {
		return nil, err
	}
	m, err := gptblock.New(ps, c)
	if err != nil {
		return nil, err
	}
	return m, Load(ps, dir, opts...)
}

// buffers are no weights: the causal masks and rotary frequencies that older
// versions of transformers saved beside them.
var buffers = regexp.MustCompile(`^(transformer\.)?h\.\d+\.attn\.(masked_)?bias$|^model\.layers\.\d+\.self_attn\.rotary_emb\.inv_freq$`)

// Load reads the weights of the folder dir, or of a safetensors file, into the
// parameters of a gptblock.Model. Beyond checkpoint.Load it knows the names in
// the public GPT-2 files, which lack the prefix "transformer.", and passes over
// the masks and rotary frequencies that old files carry. opts come after its
// own, and win.
func Load(ps *graph.Params, dir string, opts ...checkpoint.LoadOption) error {
	w, err := checkpoint.Open(dir)
	if err != nil {
		return err
	}
	defer w.Close()
	own := []checkpoint.LoadOption{checkpoint.IgnoreTensors(buffers.MatchString)}
	if _, short := w.Tensor("wte.weight"); short {
		own = append(own, checkpoint.LoadMapping(func(p *graph.Param) []checkpoint.Part {
			return []checkpoint.Part{{Tensor: strings.TrimPrefix(p.Name(), "transformer."), Shape: p.Shape()}}
		}))
	}
	return w.Load(ps, append(own, opts...)...)
}

// SaveOptions are the variants of [Save]. The zero value is one file in the
// parameters' own type.
type SaveOptions struct {
	Dtype      safetensors.Dtype // F64, F32, BF16 or F16; "" means the parameters' own
	ShardBytes int64             // at most so many bytes of weights a file; 0 means one file
	// Extra are further keys of config.json, such as "bos_token_id" and
	// "eos_token_id", that generation needs.
	Extra map[string]any
}

// Save writes a model to the folder dir, which it makes if need be: config.json
// ([ConfigJSON]) and the weights (checkpoint.Save). transformers loads a folder
// whose [ModelType] it has.
func Save(dir string, ps *graph.Params, c gptblock.Config, o SaveOptions) error {
	extra := map[string]any{"torch_dtype": dtypeName(ps, o.Dtype)}
	for key, v := range o.Extra {
		extra[key] = v
	}
	config, err := ConfigJSON(c, extra)
	if err != nil {
		return err
	}
	var opts []checkpoint.SaveOption
	if o.Dtype != "" {
		opts = append(opts, checkpoint.SaveDtype(o.Dtype))
	}
	if o.ShardBytes != 0 {
		opts = append(opts, checkpoint.SaveShards(o.ShardBytes))
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return errors.Wrap(err, "hf")
	}
	if err := checkpoint.Save(dir, ps, opts...); err != nil {
		return err
	}
	return errors.Wrap(atomicfile.Write(filepath.Join(dir, configFile), config), "hf")
}

// dtypeName is PyTorch's name of the type in which the weights are saved.
func dtypeName(ps *graph.Params, d safetensors.Dtype) string {
	if d == "" {
		return ps.Dtype().String()
	}
	return map[safetensors.Dtype]string{
		safetensors.F64: "float64", safetensors.F32: "float32", safetensors.BF16: "bfloat16", safetensors.F16: "float16",
	}[d]
}
