package hf

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"

	"github.com/pkg/errors"

	"github.com/gorget/gorget/gptblock"
)

// The values of model_type that transformers knows and this package reads and
// writes. The others are gorget's own.
const (
	gpt2    = "gpt2"
	llama   = "llama" // LLaMA 1 and 2
	mistral = "mistral"
	mixtral = "mixtral"

	gpt3   = "gpt3"   // GPT-2 with banded layers
	palm   = "palm"   // parallel blocks
	grok1  = "grok-1" // sandwich blocks
	gorget = "gorget" // anything else
)

const (
	configFile = "config.json"
	ownKey     = "gorget" // the whole gptblock.Config, which transformers passes over
)

// ErrUnsupported: a config.json asks for what the library does not have. It
// comes wrapped in a message with the key and its value.
var ErrUnsupported = errors.New("not supported")

func unsupported(key string, value any, want string) error {
	return errors.Wrapf(ErrUnsupported, "%s = %v, want %s", key, value, want)
}

// ReadConfig reads config.json in the folder dir. model_type is gpt2, llama,
// mistral or mixtral as transformers writes them (a key that is not there has
// transformers' default), or what [Save] wrote. It fails with ErrUnsupported
// for a model that the library does not have, and with a *gptblock.ConfigError
// for one that cannot be.
func ReadConfig(dir string) (gptblock.Config, error) {
	path := filepath.Join(dir, configFile)
	buf, err := os.ReadFile(path)
	if err != nil {
		return gptblock.Config{}, errors.Wrap(err, "hf")
	}
	c, err := ParseConfig(buf)
	return c, errors.WithMessage(err, path)
}

// ParseConfig is ReadConfig from the content of a config.json.
func ParseConfig(buf []byte) (gptblock.Config, error) {
	var head struct {
		ModelType string           `json:"model_type"`
		Own       *gptblock.Config `json:"gorget"`
	}
	if err := json.Unmarshal(buf, &head); err != nil {
		return gptblock.Config{}, errors.Wrap(err, "hf")
	}
	c, err := theirs(head.ModelType, buf)
	if err != nil {
		return gptblock.Config{}, errors.WithMessage(err, "hf")
	}
	if head.Own != nil {
		if err := agree(head.ModelType, c, *head.Own); err != nil {
			return gptblock.Config{}, err
		}
		c = *head.Own
	} else if !known(head.ModelType) {
		return gptblock.Config{}, errors.Wrapf(ErrUnsupported, "hf: model_type = %q without the key %q, want gpt2, llama, mistral or mixtral", head.ModelType, ownKey)
	}
	return c, c.Validate()
}

func known(modelType string) bool {
	return modelType == gpt2 || modelType == llama || modelType == mistral || modelType == mixtral
}

// theirs is what the keys of transformers say; the zero value for a model that
// it does not have.
func theirs(modelType string, buf []byte) (gptblock.Config, error) {
	switch modelType {
	case gpt2:
		j := gpt2Defaults()
		if err := json.Unmarshal(buf, &j); err != nil {
			return gptblock.Config{}, err
		}
		return j.config()
	case llama, mistral, mixtral:
		j := llamaDefaults(modelType)
		if err := json.Unmarshal(buf, &j); err != nil {
			return gptblock.Config{}, err
		}
		return j.config(modelType)
	}
	return gptblock.Config{}, nil
}

// agree refuses a file whose two parts differ: somebody changed one of them.
func agree(modelType string, c, own gptblock.Config) error {
	if !known(modelType) {
		return nil
	}
	buf, err := json.Marshal(fields(modelType, resolved(own)))
	if err != nil {
		return errors.Wrap(err, "hf")
	}
	want, err := theirs(modelType, buf)
	if err != nil {
		return errors.WithMessagef(err, "hf: the part %q", ownKey)
	}
	if d := differences(resolved(c), resolved(want)); len(d) > 0 {
		return errors.Errorf("hf: the part %q and the rest disagree: %s; remove the part to use the rest", ownKey, strings.Join(d, ", "))
	}
	return nil
}

// differences lists the fields in which two configs differ.
func differences(a, b gptblock.Config) (out []string) {
	va, vb := reflect.ValueOf(a), reflect.ValueOf(b)
	for i := range va.NumField() {
		if x, y := va.Field(i).Interface(), vb.Field(i).Interface(); !reflect.DeepEqual(x, y) {
			name, _, _ := strings.Cut(va.Type().Field(i).Tag.Get("json"), ",")
			out = append(out, fmt.Sprintf("%s (%v and %v)", name, y, x))
		}
	}
	return out
}

// ConfigJSON is the config.json of a model: the keys of transformers for a
// model that it has, and beside them, under "gorget", the whole config, so that
// nothing is lost that transformers has no key for (initialization, z-loss,
// stochastic depth). extra are further keys, such as "bos_token_id"; they must
// not be keys of the config.
func ConfigJSON(c gptblock.Config, extra map[string]any) ([]byte, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	modelType := ModelType(c)
	buf, err := json.Marshal(fields(modelType, resolved(c)))
	if err != nil {
		return nil, errors.Wrap(err, "hf")
	}
	all := map[string]any{}
	if err := json.Unmarshal(buf, &all); err != nil {
		return nil, errors.Wrap(err, "hf")
	}
	all["model_type"], all[ownKey] = modelType, c
	for _, key := range slices.Sorted(maps.Keys(extra)) {
		if _, taken := all[key]; taken {
			return nil, errors.Errorf("hf: extra key %q is one of the config", key)
		}
		all[key] = extra[key]
	}
	out, err := json.MarshalIndent(all, "", "  ")
	return append(out, '\n'), errors.Wrap(err, "hf")
}

// fields are the keys of transformers; those of the nearest model if it does
// not have this one.
func fields(modelType string, c gptblock.Config) any {
	if c.Layout == gptblock.LayoutGPT2 {
		j := gpt2From(c)
		if modelType != gpt2 {
			j.Architectures = nil
		}
		return j
	}
	return llamaFrom(c, modelType)
}

// ModelType is the model_type under which a config is saved: that of
// transformers if the model computes the same there, else gpt3, palm, grok-1 or
// gorget, which transformers does not load.
func ModelType(c gptblock.Config) string {
	c = resolved(c)
	candidates := []string{llama, mistral, mixtral}
	if c.Layout == gptblock.LayoutGPT2 {
		candidates = []string{gpt2}
	}
	for _, modelType := range candidates {
		buf, err := json.Marshal(fields(modelType, c))
		if err != nil {
			continue
		}
		back, err := theirs(modelType, buf)
		if err == nil && reflect.DeepEqual(computes(back), computes(c)) {
			return modelType
		}
	}
	switch {
	case c.Layout == gptblock.LayoutGPT2 && c.Block == gptblock.BlockPreNorm && len(c.Windows) > 0:
		return gpt3
	case c.Block == gptblock.BlockParallel:
		return palm
	case c.Block == gptblock.BlockSandwich:
		return grok1
	}
	return gorget
}

// resolved is c with its defaults filled in, so that equal models compare equal.
func resolved(c gptblock.Config) gptblock.Config {
	or := func(p *int, v int) {
		if *p == 0 {
			*p = v
		}
	}
	orFloat := func(p *float64, v float64) {
		if *p == 0 {
			*p = v
		}
	}
	or(&c.KVHeads, c.Heads)
	or(&c.HeadSize, c.Channels/max(c.Heads, 1))
	or(&c.Hidden, 4*c.Channels)
	if c.Position == gptblock.PositionRoPE {
		orFloat(&c.RoPETheta, 1e4)
	} else {
		c.RoPETheta = 0
	}
	orFloat(&c.EmbeddingScale, 1)
	orFloat(&c.LogitScale, 1)
	orFloat(&c.Init.Std, gptblock.DefaultStd)
	if !slices.ContainsFunc(c.Windows, func(w int) bool { return w > 0 }) {
		c.Windows = nil
	}
	return c
}

// computes is a resolved config without what matters in training alone.
func computes(c gptblock.Config) gptblock.Config {
	c = resolved(c).Eval()
	c.Init, c.ZLoss, c.RouterLossCoef = gptblock.Init{}, 0, 0
	return c
}
