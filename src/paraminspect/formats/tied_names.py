"""Names that the model classes of transformers tie.

Made by `scripts/make_tied_names.py` of transformers 4.40.2, 4.46.3, 4.57.6, 5.24.0; not to be edited. Each row is
what a class ties, as `class_ties` reads it, and the names of the classes.
"""

from __future__ import annotations

from typing import Final

TIES: Final[dict[str, str]] = {
    "[] decoder.lm_head.weight=decoder.embed_tokens.weight -. -.,text_config":
        "Pix2StructForConditionalGeneration",
    "[] lm_head.weight=embed_tokens.weight -.":
        "Pix2StructTextModel",
    "[] lm_head.weight=model.embed_tokens.weight +.":
        "Kosmos2TextForCausalLM Kosmos2_5TextForCausalLM",
    "[] text_encoder.encoder.embed_tokens.weight=text_encoder.shared.weight +":
        "MusicgenMelodyForConditionalGeneration",
    "[] text_model.lm_head.weight=text_model.model.embed_tokens.weight +.&text_config +.&text_config&vision_config +text_config":
        "Kosmos2ForConditionalGeneration",
    "[] text_model.lm_head.weight=text_model.model.embed_tokens.weight +text_config":
        "Kosmos2_5ForConditionalGeneration",
    "[albert] predictions.decoder.bias=predictions.bias + +., predictions.decoder.weight=albert.embeddings.word_embeddings.weight +.":
        "AlbertForMaskedLM AlbertForPreTraining",
    "[backbone] lm_head.weight=backbone.embeddings.weight +.":
        "FalconMambaForCausalLM MambaForCausalLM",
    "[backbone] lm_head.weight=backbone.embeddings.weight -.":
        "Mamba2ForCausalLM",
    "[bert] cls.predictions.decoder.bias=cls.predictions.bias + +., cls.predictions.decoder.weight=bert.embeddings.word_embeddings.weight +.":
        "BertForMaskedLM BertForPreTraining BertLMHeadModel BigBirdForCausalLM BigBirdForMaskedLM "
        "BigBirdForPreTraining BlipTextLMHeadModel MegatronBertForCausalLM MegatronBertForMaskedLM "
        "MegatronBertForPreTraining",
    "[bert] lm_head.decoder.bias=lm_head.bias + +., lm_head.decoder.weight=bert.embeddings.word_embeddings.weight +.":
        "BertGenerationDecoder",
    "[biogpt] output_projection.weight=biogpt.embed_tokens.weight +.":
        "BioGptForCausalLM",
    "[blip] language_model.lm_head.weight=language_model.model.decoder.embed_tokens.weight +text_config":
        "Blip2ForConditionalGeneration Blip2Model InstructBlipForConditionalGeneration "
        "InstructBlipVideoForConditionalGeneration",
    "[blip] text_decoder.cls.predictions.decoder.bias=text_decoder.cls.predictions.bias + +.&text_config, text_decoder.cls.predictions.decoder.weight=text_decoder.bert.embeddings.word_embeddings.weight +.&text_config +text_config":
        "BlipForConditionalGeneration BlipForQuestionAnswering",
    "[bridgetower] mlm_score.decoder.weight=bridgetower.text_model.embeddings.word_embeddings.weight +text_config -.":
        "BridgeTowerForMaskedLM",
    "[convbert] generator_lm_head.weight=convbert.embeddings.word_embeddings.weight +.":
        "ConvBertForMaskedLM",
    "[cpmant] lm_head.weight=cpmant.input_embedding.weight +. old":
        "CpmAntForCausalLM",
    "[data2vec_text] lm_head.decoder.bias=lm_head.bias + +., lm_head.decoder.weight=data2vec_text.embeddings.word_embeddings.weight +.":
        "Data2VecTextForCausalLM Data2VecTextForMaskedLM",
    "[deberta] cls.predictions.decoder.bias=cls.predictions.bias + +., cls.predictions.decoder.weight=deberta.embeddings.word_embeddings.weight +.":
        "DebertaForMaskedLM DebertaV2ForMaskedLM",
    "[distilbert] vocab_projector.weight=distilbert.embeddings.word_embeddings.weight +.":
        "DistilBertForMaskedLM",
    "[electra] generator_lm_head.weight=electra.embeddings.word_embeddings.weight +.":
        "ElectraForCausalLM ElectraForMaskedLM",
    "[encoder_decoder] decoder.cls.predictions.decoder.bias=decoder.cls.predictions.bias + +decoder, decoder.cls.predictions.decoder.weight=decoder.bert.embeddings.word_embeddings.weight +decoder":
        "EncoderDecoderModel",
    "[encoder_decoder] text_encoder.encoder.embed_tokens.weight=text_encoder.shared.weight +":
        "MusicgenForConditionalGeneration",
    "[ernie] cls.predictions.decoder.bias=cls.predictions.bias + +., cls.predictions.decoder.weight=ernie.embeddings.word_embeddings.weight +.":
        "ErnieForCausalLM ErnieForMaskedLM ErnieForPreTraining",
    "[esm] lm_head.decoder.weight=esm.embeddings.word_embeddings.weight +.":
        "EsmForMaskedLM",
    "[flava] mim_head.bias=mim_head.decoder.bias +., mim_head.decoder.bias=mim_head.bias + old, mlm_head.bias=mlm_head.decoder.bias +., mlm_head.decoder.bias=mlm_head.bias + old, mmm_image_head.bias=mmm_image_head.decoder.bias +., mmm_image_head.decoder.bias=mmm_image_head.bias + old, mmm_text_head.bias=mmm_text_head.decoder.bias +., mmm_text_head.decoder.bias=mmm_text_head.bias + old":
        "FlavaForPreTraining",
    "[fnet] cls.predictions.decoder.bias=cls.predictions.bias + +., cls.predictions.decoder.weight=fnet.embeddings.word_embeddings.weight +.":
        "FNetForMaskedLM FNetForPreTraining",
    "[funnel] lm_head.weight=funnel.embeddings.word_embeddings.weight +.":
        "FunnelForMaskedLM",
    "[git] output.weight=git.embeddings.word_embeddings.weight -.":
        "GitForCausalLM",
    "[gpt_neox] embed_out.weight=gpt_neox.embed_in.weight -.":
        "GPTNeoXForCausalLM",
    "[gpt_neox_japanese] embed_out.weight=gpt_neox_japanese.embed_in.weight +.":
        "GPTNeoXJapaneseForCausalLM",
    "[gptsan_japanese] lm_head.weight=model.embed_tokens.weight +":
        "GPTSanJapaneseForConditionalGeneration",
    "[gte] lm_head.decoder.weight=gte.embeddings.word_embeddings.weight +.":
        "GteForMaskedLM",
    "[ibert] lm_head.decoder.bias=lm_head.bias + +., lm_head.decoder.weight=ibert.embeddings.word_embeddings.weight +.":
        "IBertForMaskedLM",
    "[language_model] lm_head.weight=model.embed_tokens.weight -.":
        "Llama4ForCausalLM",
    "[language_model] lm_head.weight=model.embed_tokens.weight -. old":
        "MllamaForCausalLM",
    "[layoutlm] cls.predictions.decoder.bias=cls.predictions.bias + +., cls.predictions.decoder.weight=layoutlm.embeddings.word_embeddings.weight +.":
        "LayoutLMForMaskedLM",
    "[led] decoder.embed_tokens.weight=shared.weight + +., encoder.embed_tokens.weight=shared.weight + +.":
        "LEDModel",
    "[led] led.decoder.embed_tokens.weight=led.shared.weight + +., led.encoder.embed_tokens.weight=led.shared.weight + +.":
        "LEDForQuestionAnswering",
    "[led] led.decoder.embed_tokens.weight=led.shared.weight + +., led.encoder.embed_tokens.weight=led.shared.weight + +., lm_head.weight=led.shared.weight +.":
        "LEDForConditionalGeneration",
    "[led] led.decoder.embed_tokens.weight=led.shared.weight +, led.encoder.embed_tokens.weight=led.shared.weight +":
        "LEDForSequenceClassification",
    "[longformer] lm_head.decoder.bias=lm_head.bias + +., lm_head.decoder.weight=longformer.embeddings.word_embeddings.weight +.":
        "LongformerForMaskedLM",
    "[luke] entity_predictions.decoder.weight=luke.entity_embeddings.entity_embeddings.weight + +., lm_head.bias=lm_head.decoder.bias +., lm_head.decoder.bias=lm_head.bias + old, lm_head.decoder.weight=luke.embeddings.word_embeddings.weight +. old":
        "LukeForMaskedLM",
    "[lxmert] cls.predictions.decoder.weight=lxmert.embeddings.word_embeddings.weight + +.":
        "LxmertForPreTraining",
    "[mega] lm_head.weight=mega.embedding_layer.word_embeddings.weight +.":
        "MegaForCausalLM",
    "[mega] mlm_head.weight=mega.embedding_layer.word_embeddings.weight +.":
        "MegaForMaskedLM",
    "[mobilebert] cls.predictions.decoder.bias=cls.predictions.bias + +., cls.predictions.decoder.weight=mobilebert.embeddings.word_embeddings.weight +.":
        "MobileBertForMaskedLM MobileBertForPreTraining",
    "[model] backbone_model.embed_tokens.embed_audio_tokens.weight=depth_decoder.model.embed_tokens.weight +":
        "CsmForConditionalGeneration",
    "[model] cls.weight=ultrabert.embed_tokens.weight -., head.decoder.weight=model.embed_tokens.weight -.":
        "UltrabertForMaskedLM",
    "[model] ctc_head.bias=encoder.out.bias +., ctc_head.weight=encoder.out.weight +.":
        "GraniteSpeech5ForCTC",
    "[model] decoder.class_embed.bias=enc_score_head.bias +., decoder.class_embed.weight=enc_score_head.weight +.":
        "PPDocLayoutV3Model",
    "[model] decoder.embed_tokens.eoi_embedding=encoder.embed_tokens.eoi_embedding +., decoder.embed_tokens.weight=encoder.embed_tokens.weight +.":
        "T5Gemma2Model",
    "[model] decoder.embed_tokens.weight=encoder.embed_tokens.weight -. old, decoder.output_projection.weight=decoder.embed_tokens.weight -., decoder.output_projection.weight=encoder.embed_tokens.weight -. old, encoder.embed_tokens.weight=decoder.embed_tokens.weight -.":
        "FSMTModel",
    "[model] decoder.embed_tokens.weight=shared.weight + +., encoder.embed_tokens.weight=shared.weight + +.":
        "BartModel BigBirdPegasusModel BlenderbotModel BlenderbotSmallModel M2M100Model MBartModel MarianModel "
        "MvpModel NllbMoeModel PLBartModel PegasusModel PegasusXModel",
    "[model] decoder.lm_head.weight=decoder.model.embed_tokens.weight -. old":
        "MoshiForConditionalGeneration",
    "[model] decoder.weight=model.embeddings.tok_embeddings.weight +.":
        "ModernBertDecoderForCausalLM ModernBertForMaskedLM",
    "[model] encoder.language_model.embed_tokens.weight=decoder.embed_tokens.weight +., encoder.language_model.norm.weight=decoder.norm.weight +.":
        "DiffusionGemmaModel",
    "[model] head.decoder.weight=model.text_model.embed_tokens.weight -.":
        "UltraVBertForMaskedLM",
    "[model] head.weight=model.embed_tokens.weight -.":
        "DeepseekV4ForCausalLM",
    "[model] language_model.decoder.embed_tokens.weight=language_model.shared.weight + +text_config, language_model.encoder.embed_tokens.weight=language_model.shared.weight + +text_config":
        "Florence2Model",
    "[model] language_model.lm_head.weight=language_model.model.embed_tokens.weight +. +text_config, lm_head.weight=model.language_model.embed_tokens.weight +. +text_config":
        "AyaVisionForConditionalGeneration Gemma3ForConditionalGeneration PaliGemmaForConditionalGeneration",
    "[model] language_model.lm_head.weight=language_model.model.embed_tokens.weight +. -text_config, lm_head.weight=model.language_model.embed_tokens.weight +.":
        "GraniteSpeechForConditionalGeneration",
    "[model] language_model.lm_head.weight=language_model.model.embed_tokens.weight +. -text_config, lm_head.weight=model.language_model.embed_tokens.weight +. -text_config":
        "GotOcr2ForConditionalGeneration InternVLForConditionalGeneration Mistral3ForConditionalGeneration",
    "[model] language_model.lm_head.weight=language_model.model.embed_tokens.weight +., lm_head.weight=model.language_model.embed_tokens.weight +.":
        "GlmAsrForConditionalGeneration GraniteSpeechPlusForConditionalGeneration Kimi_K25ForConditionalGeneration "
        "VoxtralRealtimeForConditionalGeneration",
    "[model] language_model.lm_head.weight=language_model.model.embed_tokens.weight -. -text_config, lm_head.weight=model.language_model.embed_tokens.weight -. -text_config":
        "AriaForConditionalGeneration FuyuForCausalLM LlavaNextForConditionalGeneration "
        "VideoLlavaForConditionalGeneration VipLlavaForConditionalGeneration",
    "[model] language_model.lm_head.weight=language_model.model.embed_tokens.weight -., lm_head.weight=model.language_model.embed_tokens.weight -.":
        "QianfanOCRForConditionalGeneration",
    "[model] language_model.lm_head.weight=language_model.model.embed_tokens.weight -.,text_config -text_config, lm_head.weight=model.language_model.embed_tokens.weight -.,text_config -text_config":
        "LlavaForConditionalGeneration LlavaNextVideoForConditionalGeneration "
        "LlavaOnevisionForConditionalGeneration",
    "[model] language_model.lm_head.weight=language_model.model.embed_tokens.weight -.,text_config, lm_head.weight=model.language_model.embed_tokens.weight -.,text_config":
        "MiniMaxM3SparseForConditionalGeneration",
    "[model] language_model.lm_head.weight=language_model.model.embed_tokens.weight -text_config":
        "Llama4ForConditionalGeneration",
    "[model] language_model.lm_head.weight=language_model.model.embed_tokens.weight -text_config old":
        "Qwen2AudioForConditionalGeneration VoxtralForConditionalGeneration",
    "[model] language_model.lm_head.weight=language_model.model.embed_tokens.weight -text_config old, lm_head.weight=model.language_model.embed_tokens.weight -text_config old":
        "MllamaForConditionalGeneration",
    "[model] lm_head.out_proj.weight=model.decoder.embed_tokens.weight +.":
        "T5GemmaForConditionalGeneration",
    "[model] lm_head.out_proj.weight=model.encoder.embed_tokens.weight +., model.decoder.embed_tokens.eoi_embedding=model.encoder.embed_tokens.eoi_embedding +., model.decoder.embed_tokens.weight=model.encoder.embed_tokens.weight +.":
        "T5Gemma2ForConditionalGeneration",
    "[model] lm_head.weight=backbone.embeddings.weight -.":
        "DoryForCausalLM",
    "[model] lm_head.weight=embed_tokens.weight -.":
        "Cosmos3OmniForConditionalGeneration",
    "[model] lm_head.weight=model.decoder.embed_tokens.weight +.":
        "BartForCausalLM BlenderbotForCausalLM BlenderbotSmallForCausalLM MBartForCausalLM MarianForCausalLM "
        "MvpForCausalLM OPTForCausalLM PLBartForCausalLM PegasusForCausalLM Speech2Text2ForCausalLM "
        "Speech2TextForConditionalGeneration",
    "[model] lm_head.weight=model.decoder.embed_tokens.weight +. old":
        "BigBirdPegasusForCausalLM",
    "[model] lm_head.weight=model.decoder.embed_tokens.weight +., model.encoder.language_model.embed_tokens.weight=model.decoder.embed_tokens.weight +., model.encoder.language_model.norm.weight=model.decoder.norm.weight +.":
        "DiffusionGemmaForBlockDiffusion",
    "[model] lm_head.weight=model.embed_tokens.embed_tokens.weight -.":
        "KyutaiSpeechToTextForConditionalGeneration",
    "[model] lm_head.weight=model.embed_tokens.weight +.":
        "Cohere2ForCausalLM Cohere2MoeForCausalLM CohereCompassForCausalLM CohereForCausalLM Ernie4_5ForCausalLM "
        "Ernie4_5_MoeForCausalLM Ernie4_5_VLMoeForConditionalGeneration Ernie4_5_VL_MoeForConditionalGeneration "
        "Gemma2ForCausalLM Gemma3ForCausalLM Gemma4AssistantForCausalLM Gemma4ForCausalLM "
        "Gemma4UnifiedAssistantForCausalLM Gemma4UnifiedForCausalLM GemmaForCausalLM GraniteSWAForCausalLM "
        "JetMoeForCausalLM LaraMiniForCausalLM Lfm2ForCausalLM Lfm2MoeForCausalLM Lfm3ForCausalLM "
        "MiniCPM3ForCausalLM RecurrentGemmaForCausalLM SmolLM3ForCausalLM Starcoder2ForCausalLM "
        "VaultGemmaForCausalLM XGLMForCausalLM YoutuForCausalLM Zamba2ForCausalLM ZambaForCausalLM ZayaForCausalLM",
    "[model] lm_head.weight=model.embed_tokens.weight +.&text_config":
        "HunYuanVLForConditionalGeneration PaddleOCRVLForConditionalGeneration",
    "[model] lm_head.weight=model.embed_tokens.weight +., lm_head.weight=model.language_model.embed_tokens.weight +. old":
        "Gemma3nForCausalLM",
    "[model] lm_head.weight=model.embed_tokens.weight -.":
        "AXK1ForCausalLM AXK2ForCausalLM AfmoeForCausalLM Apertus1p5TextForCausalLM ApertusForCausalLM "
        "ArceeForCausalLM AriaTextForCausalLM BambaForCausalLM BeamForCausalLM BitNetForCausalLM "
        "ChameleonForConditionalGeneration CwmForCausalLM DeepseekOcr2ForConditionalGeneration "
        "DeepseekV2ForCausalLM DeepseekV32ForCausalLM DeepseekV3ForCausalLM DiffLlamaForCausalLM DogeForCausalLM "
        "Dots1ForCausalLM Dots3NoteForCausalLM Dots3NoteForConditionalGeneration Emu3ForCausalLM "
        "EuroBertForMaskedLM Exaone4ForCausalLM ExaoneMoeForCausalLM FalconH1ForCausalLM FlexOlmoForCausalLM "
        "FlintForCausalLM Glm4ForCausalLM Glm4MoeForCausalLM Glm4MoeLiteForCausalLM GlmForCausalLM "
        "GlmMoeDsaForCausalLM GptOssForCausalLM GraniteForCausalLM GraniteMoeForCausalLM "
        "GraniteMoeHybridForCausalLM GraniteMoeSWAForCausalLM GraniteMoeSharedForCausalLM HYV3ForCausalLM "
        "HYV4ForCausalLM HYV4VLForConditionalGeneration HeliumForCausalLM HrmTextForCausalLM "
        "HunYuanDenseV1ForCausalLM HunYuanMoEV1ForCausalLM HyperCLOVAXForCausalLM IdeficsForVisionText2Text "
        "Jais2ForCausalLM JambaForCausalLM Kolibri1ForCausalLM LagunaForCausalLM LlamaForCausalLM "
        "LongcatFlashForCausalLM MellumForCausalLM MiMoV2FlashForCausalLM MiniMaxForCausalLM MiniMaxM2ForCausalLM "
        "MiniMaxM3VLForCausalLM Ministral3ForCausalLM MinistralForCausalLM Mistral4ForCausalLM MistralForCausalLM "
        "MixtralForCausalLM NanoChatForCausalLM NemotronForCausalLM Olmo2ForCausalLM Olmo3ForCausalLM "
        "OlmoForCausalLM OlmoHybridForCausalLM OlmoeForCausalLM PersimmonForCausalLM Phi3ForCausalLM "
        "Phi4MultimodalForCausalLM PhiForCausalLM PhimoeForCausalLM Qwen2ForCausalLM Qwen2MoeForCausalLM "
        "Qwen3ForCausalLM Qwen3MoeForCausalLM Qwen3NextForCausalLM Qwen3_5ForCausalLM Qwen3_5MoeForCausalLM "
        "Qwen4ExpForCausalLM SeedOssForCausalLM SolarOpenForCausalLM StableLmForCausalLM "
        "Step3p7ForConditionalGeneration UnlimitedOcrForConditionalGeneration",
    "[model] lm_head.weight=model.embed_tokens.weight -. -text_config":
        "Qwen2VLForConditionalGeneration Qwen2_5OmniThinkerForConditionalGeneration "
        "Qwen2_5_VLForConditionalGeneration Qwen3OmniMoeThinkerForConditionalGeneration",
    "[model] lm_head.weight=model.embed_tokens.weight -. old":
        "MoshiForCausalLM",
    "[model] lm_head.weight=model.embed_tokens.word_embeddings.weight +., unembedding_projection.weight=model.embed_tokens.embedding_projection.weight +.":
        "NeoMMEForMaskedLM",
    "[model] lm_head.weight=model.language_model.embed_tokens.weight +.":
        "FunAsrNanoForConditionalGeneration Gemma3nForConditionalGeneration Gemma4ForConditionalGeneration "
        "Gemma4UnifiedForConditionalGeneration Lfm3VlForConditionalGeneration LightOnOcrForConditionalGeneration "
        "MiniCPMOcrForConditionalGeneration MossTranscribeDiarizeForConditionalGeneration "
        "Qwen3ASRForConditionalGeneration",
    "[model] lm_head.weight=model.language_model.embed_tokens.weight +. +text_config":
        "Cohere2VisionForConditionalGeneration Lfm2VlForConditionalGeneration",
    "[model] lm_head.weight=model.language_model.embed_tokens.weight +. -text_config":
        "DeepseekVLForConditionalGeneration DeepseekVLHybridForConditionalGeneration JanusForConditionalGeneration "
        "Ovis2ForConditionalGeneration",
    "[model] lm_head.weight=model.language_model.embed_tokens.weight -.":
        "Apertus1p5ForConditionalGeneration CohereCompassForConditionalGeneration "
        "Exaone4_5_ForConditionalGeneration Glm46VForConditionalGeneration Glm5NextForConditionalGeneration "
        "GlmOcrForConditionalGeneration Granite4VisionForConditionalGeneration MiniCPMV4_6ForConditionalGeneration "
        "MiniCPMV4_7ForConditionalGeneration MuseGlimmerForConditionalGeneration Qwen3_5ForConditionalGeneration "
        "Qwen3_5MoeForConditionalGeneration Qwen4ExpForConditionalGeneration",
    "[model] lm_head.weight=model.language_model.embed_tokens.weight -. -text_config":
        "Glm4vForConditionalGeneration Qwen3VLForConditionalGeneration Qwen3VLMoeForConditionalGeneration",
    "[model] lm_head.weight=model.language_model.embed_tokens.weight -., output.weight=tok_embeddings.weight -.":
        "MistralLarge4ForConditionalGeneration",
    "[model] lm_head.weight=model.language_model.embed_tokens.weight -.,text_config":
        "FastVlmForConditionalGeneration PerceptionLMForConditionalGeneration VideoLlama3ForConditionalGeneration",
    "[model] lm_head.weight=model.language_model.embed_tokens.weight -.,text_config -text_config":
        "Glm4vMoeForConditionalGeneration",
    "[model] lm_head.weight=model.language_model.embed_tokens.weight -text_config":
        "VibeVoiceForConditionalGeneration",
    "[model] lm_head.weight=model.language_model.shared.weight +. +text_config, model.language_model.decoder.embed_tokens.weight=model.language_model.shared.weight + +text_config, model.language_model.encoder.embed_tokens.weight=model.language_model.shared.weight + +text_config":
        "Florence2ForConditionalGeneration",
    "[model] lm_head.weight=model.local_encoder.embed_tokens.weight -. old, model.local_encoder.embed_tokens.weight=lm_head.weight -.":
        "BltForCausalLM",
    "[model] lm_head.weight=model.shared.weight +., model.decoder.embed_tokens.weight=model.shared.weight + +., model.encoder.embed_tokens.weight=model.shared.weight + +.":
        "BartForConditionalGeneration BigBirdPegasusForConditionalGeneration BlenderbotForConditionalGeneration "
        "BlenderbotSmallForConditionalGeneration M2M100ForConditionalGeneration MBartForConditionalGeneration "
        "MarianMTModel MvpForConditionalGeneration NllbMoeForConditionalGeneration PLBartForConditionalGeneration "
        "PegasusForConditionalGeneration PegasusXForConditionalGeneration",
    "[model] lm_head.weight=model.text_model.embed_tokens.weight +.":
        "GraniteDoclingForConditionalGeneration",
    "[model] lm_head.weight=model.text_model.embed_tokens.weight -. -text_config":
        "Idefics2ForConditionalGeneration Idefics3ForConditionalGeneration SmolVLMForConditionalGeneration",
    "[model] lm_head.weight=model.text_model.embed_tokens.weight -. -text_config, text_model.lm_head.weight=text_model.model.embed_tokens.weight -. -text_config":
        "Emu3ForConditionalGeneration",
    "[model] lm_head.weight=model.text_model.embeddings.tok_embeddings.weight -.":
        "ModernVBertForMaskedLM",
    "[model] log_softmax.mlp.layer0.weight=model.transf_decoder._embedding.token_embedding.weight -., proj_out.weight=model.decoder.embed_tokens.weight -.":
        "CohereAsrForConditionalGeneration",
    "[model] model.decoder.class_embed.bias=model.enc_score_head.bias +., model.decoder.class_embed.weight=model.enc_score_head.weight +.":
        "PPDocLayoutV3ForObjectDetection",
    "[model] model.decoder.embed_tokens.eoi_embedding=model.encoder.embed_tokens.eoi_embedding +., model.decoder.embed_tokens.weight=model.encoder.embed_tokens.weight +.":
        "T5Gemma2ForSequenceClassification T5Gemma2ForTokenClassification",
    "[model] model.decoder.embed_tokens.weight=model.encoder.embed_tokens.weight -. old, model.decoder.output_projection.weight=model.decoder.embed_tokens.weight -., model.decoder.output_projection.weight=model.encoder.embed_tokens.weight -. old, model.encoder.embed_tokens.weight=model.decoder.embed_tokens.weight -.":
        "FSMTForConditionalGeneration",
    "[model] model.decoder.embed_tokens.weight=model.shared.weight + +., model.encoder.embed_tokens.weight=model.shared.weight + +.":
        "BartForQuestionAnswering BartForSequenceClassification BigBirdPegasusForQuestionAnswering "
        "BigBirdPegasusForSequenceClassification MBartForQuestionAnswering MBartForSequenceClassification "
        "MvpForQuestionAnswering MvpForSequenceClassification PLBartForSequenceClassification",
    "[model] model.language_model.lm_head.weight=model.language_model.embed_tokens.weight +.":
        "HyperCLOVAXVisionV2ForConditionalGeneration",
    "[model] model.language_model.lm_head.weight=model.language_model.model.embed_tokens.weight +text_config old, model.lm_head.weight=model.model.language_model.embed_tokens.weight +text_config old, model.lm_head.weight=model.model.language_model.model.embed_tokens.weight +text_config":
        "ShieldGemma2ForImageClassification",
    "[model] output_projection.weight=model.decoder.embed_tokens.weight +.":
        "TrOCRForCausalLM",
    "[model] proj_out.weight=model.decoder.embed_tokens.weight +.":
        "CanaryForConditionalGeneration MoonshineForConditionalGeneration WhisperForCausalLM "
        "WhisperForConditionalGeneration",
    "[model] proj_out.weight=model.decoder.embed_tokens.weight -.":
        "MoonshineStreamingForConditionalGeneration",
    "[model] thinker.lm_head.weight=thinker.model.embed_tokens.weight -thinker_config -thinker_config.text_config":
        "Qwen2_5OmniForConditionalGeneration",
    "[mpnet] lm_head.decoder.bias=lm_head.bias + +., lm_head.decoder.weight=mpnet.embeddings.word_embeddings.weight +.":
        "MPNetForMaskedLM",
    "[mra] cls.predictions.decoder.bias=cls.predictions.bias + +., cls.predictions.decoder.weight=mra.embeddings.word_embeddings.weight +.":
        "MraForMaskedLM",
    "[nezha] cls.predictions.decoder.bias=cls.predictions.bias +, cls.predictions.decoder.weight=nezha.embeddings.word_embeddings.weight +.":
        "NezhaForMaskedLM NezhaForPreTraining",
    "[nomic_bert] cls.predictions.decoder.bias=cls.predictions.bias +., cls.predictions.decoder.weight=nomic_bert.embeddings.word_embeddings.weight +.":
        "NomicBertForMaskedLM",
    "[nystromformer] cls.predictions.decoder.bias=cls.predictions.bias + +., cls.predictions.decoder.weight=nystromformer.embeddings.word_embeddings.weight +.":
        "NystromformerForMaskedLM",
    "[prophetnet] decoder.word_embeddings.weight=word_embeddings.weight +":
        "XLMProphetNetDecoderWrapper",
    "[prophetnet] decoder.word_embeddings.weight=word_embeddings.weight + +.":
        "ProphetNetDecoderWrapper",
    "[prophetnet] decoder.word_embeddings.weight=word_embeddings.weight + +., encoder.word_embeddings.weight=word_embeddings.weight + +.":
        "ProphetNetModel",
    "[prophetnet] decoder.word_embeddings.weight=word_embeddings.weight +, encoder.word_embeddings.weight=word_embeddings.weight +":
        "XLMProphetNetModel",
    "[prophetnet] lm_head.weight=prophetnet.word_embeddings.weight +., prophetnet.decoder.word_embeddings.weight=prophetnet.word_embeddings.weight +":
        "XLMProphetNetForCausalLM",
    "[prophetnet] lm_head.weight=prophetnet.word_embeddings.weight +., prophetnet.decoder.word_embeddings.weight=prophetnet.word_embeddings.weight + +.":
        "ProphetNetForCausalLM",
    "[prophetnet] lm_head.weight=prophetnet.word_embeddings.weight +., prophetnet.decoder.word_embeddings.weight=prophetnet.word_embeddings.weight + +., prophetnet.encoder.word_embeddings.weight=prophetnet.word_embeddings.weight + +.":
        "ProphetNetForConditionalGeneration",
    "[prophetnet] lm_head.weight=prophetnet.word_embeddings.weight +., prophetnet.decoder.word_embeddings.weight=prophetnet.word_embeddings.weight +, prophetnet.encoder.word_embeddings.weight=prophetnet.word_embeddings.weight +":
        "XLMProphetNetForConditionalGeneration",
    "[rag] generator.lm_head.weight=generator.model.shared.weight +generator, generator.model.decoder.embed_tokens.weight=generator.model.shared.weight + +generator, generator.model.encoder.embed_tokens.weight=generator.model.shared.weight + +generator":
        "RagModel",
    "[rag] rag.generator.lm_head.weight=rag.generator.model.shared.weight +.&generator&question_encoder +generator, rag.generator.model.decoder.embed_tokens.weight=rag.generator.model.shared.weight + +generator, rag.generator.model.encoder.embed_tokens.weight=rag.generator.model.shared.weight + +generator":
        "RagTokenForGeneration",
    "[rag] rag.generator.lm_head.weight=rag.generator.model.shared.weight +generator, rag.generator.model.decoder.embed_tokens.weight=rag.generator.model.shared.weight + +generator, rag.generator.model.encoder.embed_tokens.weight=rag.generator.model.shared.weight + +generator":
        "RagSequenceForGeneration",
    "[realm] cls.predictions.decoder.bias=cls.predictions.bias +":
        "RealmEmbedder RealmReader",
    "[realm] cls.predictions.decoder.bias=cls.predictions.bias +, cls.predictions.decoder.weight=realm.embeddings.word_embeddings.weight +.":
        "RealmKnowledgeAugEncoder",
    "[realm] embedder.cls.predictions.decoder.bias=embedder.cls.predictions.bias +, query_embedder.cls.LayerNorm.bias=embedder.cls.LayerNorm.bias +, query_embedder.cls.LayerNorm.weight=embedder.cls.LayerNorm.weight +, query_embedder.cls.dense.bias=embedder.cls.dense.bias +, query_embedder.cls.dense.weight=embedder.cls.dense.weight +, query_embedder.cls.predictions.bias=embedder.cls.predictions.bias +, query_embedder.cls.predictions.decoder.bias=embedder.cls.predictions.bias +, query_embedder.cls.predictions.decoder.weight=embedder.cls.predictions.decoder.weight +, query_embedder.cls.predictions.transform.LayerNorm.bias=embedder.cls.predictions.transform.LayerNorm.bias +, query_embedder.cls.predictions.transform.LayerNorm.weight=embedder.cls.predictions.transform.LayerNorm.weight +, query_embedder.cls.predictions.transform.dense.bias=embedder.cls.predictions.transform.dense.bias +, query_embedder.cls.predictions.transform.dense.weight=embedder.cls.predictions.transform.dense.weight +, query_embedder.realm.embeddings.LayerNorm.bias=embedder.realm.embeddings.LayerNorm.bias +, query_embedder.realm.embeddings.LayerNorm.weight=embedder.realm.embeddings.LayerNorm.weight +, query_embedder.realm.embeddings.position_embeddings.weight=embedder.realm.embeddings.position_embeddings.weight +, query_embedder.realm.embeddings.token_type_embeddings.weight=embedder.realm.embeddings.token_type_embeddings.weight +, query_embedder.realm.embeddings.word_embeddings.weight=embedder.realm.embeddings.word_embeddings.weight +, query_embedder.realm.pooler.dense.bias=embedder.realm.pooler.dense.bias +, query_embedder.realm.pooler.dense.weight=embedder.realm.pooler.dense.weight +":
        "RealmScorer",
    "[realm] embedder.cls.predictions.decoder.bias=embedder.cls.predictions.bias +, reader.cls.predictions.decoder.bias=reader.cls.predictions.bias +":
        "RealmForOpenQA",
    "[reformer] lm_head.decoder.bias=lm_head.bias + old, lm_head.decoder.weight=reformer.embeddings.word_embeddings.weight -. old":
        "ReformerForMaskedLM ReformerModelWithLMHead",
    "[roberta] lm_head.decoder.bias=lm_head.bias + +., lm_head.decoder.weight=roberta.embeddings.word_embeddings.weight +.":
        "CamembertForCausalLM CamembertForMaskedLM RobertaForCausalLM RobertaForMaskedLM XLMRobertaForCausalLM "
        "XLMRobertaForMaskedLM XLMRobertaXLForCausalLM XLMRobertaXLForMaskedLM XmodForCausalLM XmodForMaskedLM",
    "[roberta] lm_head.decoder.bias=lm_head.bias +., lm_head.decoder.weight=roberta.embeddings.word_embeddings.weight +.":
        "JinaEmbeddingsV3ForMaskedLM",
    "[roberta_prelayernorm] lm_head.decoder.bias=lm_head.bias + +., lm_head.decoder.weight=roberta_prelayernorm.embeddings.word_embeddings.weight +.":
        "RobertaPreLayerNormForCausalLM RobertaPreLayerNormForMaskedLM",
    "[roc_bert] cls.predictions.decoder.bias=cls.predictions.bias + +., cls.predictions.decoder.weight=roc_bert.embeddings.word_embeddings.weight +.":
        "RoCBertForCausalLM RoCBertForMaskedLM RoCBertForPreTraining",
    "[roformer] cls.predictions.decoder.bias=cls.predictions.bias + +., cls.predictions.decoder.weight=roformer.embeddings.word_embeddings.weight +.":
        "RoFormerForCausalLM RoFormerForMaskedLM",
    "[rwkv] head.weight=rwkv.embeddings.weight -.":
        "RwkvForCausalLM",
    "[sam] prompt_encoder.shared_embedding.positional_embedding=shared_image_embedding.positional_embedding + +.":
        "SamModel",
    "[sam_hq] prompt_encoder.shared_embedding.positional_embedding=shared_image_embedding.positional_embedding +.":
        "SamHQModel",
    "[seamless_m4t] lm_head.weight=model.decoder.embed_tokens.weight +.":
        "SeamlessM4TTextToUnitForConditionalGeneration",
    "[seamless_m4t] lm_head.weight=shared.weight +., t2u_model.lm_head.weight=t2u_model.model.decoder.embed_tokens.weight +., text_decoder.embed_tokens.weight=shared.weight + +.":
        "SeamlessM4TForSpeechToSpeech",
    "[seamless_m4t] lm_head.weight=shared.weight +., t2u_model.lm_head.weight=t2u_model.model.decoder.embed_tokens.weight +., text_decoder.embed_tokens.weight=shared.weight + +., text_encoder.embed_tokens.weight=shared.weight + +.":
        "SeamlessM4TForTextToSpeech SeamlessM4TModel",
    "[seamless_m4t] lm_head.weight=shared.weight +., text_decoder.embed_tokens.weight=shared.weight + +.":
        "SeamlessM4TForSpeechToText",
    "[seamless_m4t] lm_head.weight=shared.weight +., text_decoder.embed_tokens.weight=shared.weight + +., text_encoder.embed_tokens.weight=shared.weight + +.":
        "SeamlessM4TForTextToText",
    "[seamless_m4t_v2] lm_head.weight=model.decoder.embed_tokens.weight +.":
        "SeamlessM4Tv2TextToUnitForConditionalGeneration",
    "[seamless_m4t_v2] lm_head.weight=shared.weight +., t2u_model.lm_head.weight=t2u_model.model.decoder.embed_tokens.weight +., text_decoder.embed_tokens.weight=shared.weight + +.":
        "SeamlessM4Tv2ForSpeechToSpeech",
    "[seamless_m4t_v2] lm_head.weight=shared.weight +., t2u_model.lm_head.weight=t2u_model.model.decoder.embed_tokens.weight +., text_decoder.embed_tokens.weight=shared.weight + +., text_encoder.embed_tokens.weight=shared.weight + +.":
        "SeamlessM4Tv2ForTextToSpeech SeamlessM4Tv2Model",
    "[seamless_m4t_v2] lm_head.weight=shared.weight +., text_decoder.embed_tokens.weight=shared.weight + +.":
        "SeamlessM4Tv2ForSpeechToText",
    "[seamless_m4t_v2] lm_head.weight=shared.weight +., text_decoder.embed_tokens.weight=shared.weight + +., text_encoder.embed_tokens.weight=shared.weight + +.":
        "SeamlessM4Tv2ForTextToText",
    "[speech_encoder_decoder] decoder.cls.predictions.decoder.bias=decoder.cls.predictions.bias + +decoder, decoder.cls.predictions.decoder.weight=decoder.bert.embeddings.word_embeddings.weight +decoder":
        "SpeechEncoderDecoderModel",
    "[speecht5] text_decoder_postnet.lm_head.weight=speecht5.decoder.prenet.embed_tokens.weight +.":
        "SpeechT5ForSpeechToText",
    "[switch_transformers] decoder.embed_tokens.weight=shared.weight + +., encoder.embed_tokens.weight=shared.weight + +.":
        "SwitchTransformersModel",
    "[switch_transformers] decoder.embed_tokens.weight=shared.weight + +., encoder.embed_tokens.weight=shared.weight + +., lm_head.weight=shared.weight +.":
        "SwitchTransformersForConditionalGeneration",
    "[switch_transformers] encoder.embed_tokens.weight=shared.weight + +.":
        "SwitchTransformersEncoderModel",
    "[tapas] cls.predictions.decoder.bias=cls.predictions.bias + +., cls.predictions.decoder.weight=tapas.embeddings.word_embeddings.weight +.":
        "TapasForMaskedLM",
    "[transformer] cls.predictions.decoder.bias=cls.predictions.bias + +., cls.predictions.decoder.weight=transformer.embeddings.word_embeddings.weight +.":
        "SqueezeBertForMaskedLM",
    "[transformer] decoder.embed_tokens.weight=shared.weight +, encoder.embed_patches.proj.bias=patch_embed.proj.bias +, encoder.embed_patches.proj.weight=patch_embed.proj.weight +, encoder.embed_tokens.weight=shared.weight +":
        "UdopModel",
    "[transformer] decoder.embed_tokens.weight=shared.weight +, encoder.embed_patches.proj.bias=patch_embed.proj.bias +, encoder.embed_patches.proj.weight=patch_embed.proj.weight +, encoder.embed_tokens.weight=shared.weight +, lm_head.weight=shared.weight + +.":
        "UdopForConditionalGeneration",
    "[transformer] decoder.embed_tokens.weight=shared.weight +, encoder.embed_tokens.weight=shared.weight +":
        "LongT5Model MT5ForQuestionAnswering MT5Model T5ForQuestionAnswering T5Model UMT5ForQuestionAnswering "
        "UMT5Model",
    "[transformer] decoder.embed_tokens.weight=shared.weight +, encoder.embed_tokens.weight=shared.weight +, lm_head.weight=shared.weight + +.":
        "LongT5ForConditionalGeneration T5ForConditionalGeneration UMT5ForConditionalGeneration",
    "[transformer] decoder.embed_tokens.weight=shared.weight +, encoder.embed_tokens.weight=shared.weight +, lm_head.weight=shared.weight + -.":
        "MT5ForConditionalGeneration",
    "[transformer] decoder.embed_tokens.weight=shared.weight +, encoder.embed_tokens.weight=shared.weight +, lm_head.weight=shared.weight +. old":
        "Pop2PianoForConditionalGeneration",
    "[transformer] encoder.embed_patches.proj.bias=patch_embed.proj.bias +, encoder.embed_patches.proj.weight=patch_embed.proj.weight +, encoder.embed_tokens.weight=shared.weight +":
        "UdopEncoderModel",
    "[transformer] encoder.embed_tokens.weight=shared.weight +":
        "LongT5EncoderModel MT5EncoderModel T5EncoderModel UMT5EncoderModel",
    "[transformer] lm_head.weight=transformer.tokens_embed.weight +.":
        "OpenAIGPTLMHeadModel",
    "[transformer] lm_head.weight=transformer.tokens_embed.weight +. old, transformer.tokens_embed.weight=lm_head.weight +.":
        "OpenAIGPTDoubleHeadsModel",
    "[transformer] lm_head.weight=transformer.w.weight +.":
        "CTRLLMHeadModel",
    "[transformer] lm_head.weight=transformer.word_embeddings.weight +.":
        "BloomForCausalLM FalconForCausalLM",
    "[transformer] lm_head.weight=transformer.wte.weight +.":
        "GPT2DoubleHeadsModel GPT2LMHeadModel GPTBigCodeForCausalLM GPTNeoForCausalLM MptForCausalLM",
    "[transformer] lm_head.weight=transformer.wte.weight -.":
        "CodeGenForCausalLM GPTJForCausalLM ImageGPTForCausalImageModeling",
    "[transformer] lm_loss.weight=transformer.word_embedding.weight +.":
        "XLNetLMHeadModel",
    "[transformer] pred_layer.proj.weight=transformer.embeddings.weight +.":
        "FlaubertWithLMHeadModel XLMWithLMHeadModel",
    "[transformer] transformer.decoder.embed_tokens.weight=transformer.shared.weight +, transformer.encoder.embed_tokens.weight=transformer.shared.weight +":
        "MT5ForSequenceClassification T5ForSequenceClassification UMT5ForSequenceClassification",
    "[transformer] transformer.encoder.embed_tokens.weight=transformer.shared.weight +":
        "MT5ForTokenClassification T5ForTokenClassification UMT5ForTokenClassification",
    "[vilt] mlm_score.decoder.bias=mlm_score.bias + old, mlm_score.decoder.weight=vilt.embeddings.text_embeddings.word_embeddings.weight + -.":
        "ViltForMaskedLM",
    "[vision_encoder_decoder] decoder.cls.predictions.decoder.bias=decoder.cls.predictions.bias + +decoder, decoder.cls.predictions.decoder.weight=decoder.bert.embeddings.word_embeddings.weight +decoder":
        "VisionEncoderDecoderModel",
    "[visual_bert] cls.predictions.decoder.bias=cls.predictions.bias + +., cls.predictions.decoder.weight=visual_bert.embeddings.word_embeddings.weight +.":
        "VisualBertForPreTraining VisualBertForRegionToPhraseAlignment",
    "[vlm] vlm.language_model.lm_head.weight=vlm.language_model.model.embed_tokens.weight +vlm_config.text_config old, vlm.lm_head.weight=vlm.model.language_model.embed_tokens.weight +vlm_config.text_config old":
        "ColPaliForRetrieval",
    "[vlm] vlm.lm_head.weight=vlm.model.language_model.embed_tokens.weight -vlm_config.text_config old":
        "ColQwen2ForRetrieval",
    "[yoso] cls.predictions.decoder.bias=cls.predictions.bias + +., cls.predictions.decoder.weight=yoso.embeddings.word_embeddings.weight +.":
        "YosoForMaskedLM",
}  # fmt: skip
