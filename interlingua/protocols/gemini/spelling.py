"""Google reads camelCase and snake_case alike, mixed even, so we do; we write camelCase.

Only the names of Google's own structures are respelled, one object at a time and from a table. What users name
(arguments, results, schema properties, labels) and what we do not know is never touched.
"""

import re
from typing import Final

from interlingua.ir import Json

_HUMP: Final = re.compile(r"[A-Z]")


def _table(names: str) -> dict[str, str]:
    """snake_case -> camelCase, for the names of which the two differ."""
    pairs = ((_HUMP.sub(lambda hump: "_" + hump[0].lower(), name), name) for name in names.split())
    return {snake: camel for snake, camel in pairs if snake != camel}


REQUEST: Final = _table(
    "systemInstruction toolConfig generationConfig safetySettings cachedContent serviceTier continuationToken"
    " modelArmorConfig outputConfig"
)
CONFIG: Final = _table(
    "topP topK candidateCount maxOutputTokens stopSequences presencePenalty frequencyPenalty responseLogprobs"
    " responseMimeType responseSchema responseJsonSchema responseModalities responseFormat thinkingConfig speechConfig"
    " imageConfig mediaResolution audioTimestamp modelConfig routingConfig audioTranscriptionConfig"
    " enableEnhancedCivicAnswers enableAffectiveDialog translationConfig"
)
THINKING: Final = _table("includeThoughts thinkingBudget thinkingLevel")
PART: Final = _table(
    "thoughtSignature inlineData fileData functionCall functionResponse executableCode codeExecutionResult toolCall"
    " toolResponse videoMetadata mediaResolution partMetadata audioTranscription mediaProcessing speechMetadata"
    " documentMetadata spreadsheetMetadata audioMetadata"
)
BLOB: Final = _table("mimeType displayName fileUri")
CALL: Final = _table("partialArgs willContinue")
PARTIAL: Final = _table("jsonPath boolValue nullValue numberValue stringValue willContinue")
TOOL: Final = _table(
    "functionDeclarations googleSearch googleSearchRetrieval googleMaps codeExecution urlContext computerUse fileSearch"
    " enterpriseWebSearch parallelAiSearch exaAiSearch mcpServers"
)
DECLARATION: Final = _table("parametersJsonSchema responseJsonSchema")
TOOL_CONFIG: Final = _table("functionCallingConfig retrievalConfig includeServerSideToolInvocations")
CALLING: Final = _table("allowedFunctionNames streamFunctionCallArguments")
ANSWER: Final = _table("promptFeedback usageMetadata modelVersion responseId createTime modelStatus")
CANDIDATE: Final = _table(
    "finishReason finishMessage citationMetadata groundingMetadata avgLogprobs logprobsResult safetyRatings tokenCount"
    " urlContextMetadata continuationToken"
)
USAGE: Final = _table(
    "promptTokenCount cachedContentTokenCount candidatesTokenCount thoughtsTokenCount toolUsePromptTokenCount"
    " totalTokenCount promptTokensDetails cacheTokensDetails candidatesTokensDetails toolUsePromptTokensDetails trafficType"
)
EMBEDDING: Final = _table(
    "taskType outputDimensionality embedContentConfig autoTruncate mimeType documentOcr audioTrackExtraction"
)


def spell(d: Json, table: dict[str, str]) -> Json:
    """A copy with the table's names in camelCase and without nulls, which say nothing."""
    if table.keys().isdisjoint(d) and None not in d.values():
        return d.copy()
    return {table.get(key, key): value for key, value in d.items() if value is not None}
